"""The chat panel in a real browser, used as a person would."""

from __future__ import annotations

import base64
import re
import threading
from typing import Any

import pytest

from tests.browser.lab import DARK, LIGHT, Lab, pictured, settled, themed
from tests.scripted import ScriptedServer, answer, errors
from tests.unit.pictures import encoded, photograph

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
ANSWER = """# Tides

The **sea's** breath: the Moon pulls the water *towards* itself.

| body | share |
|---|---|
| Moon | 69 % |
| Sun | 31 % |

1. Two bulges
2. The Earth turns below them

```python
def height(t: float, amplitude=1.2) -> float:
    # The height of the water, in metres.
    return amplitude * math.cos(2 * math.pi * t / 12.42)  # hours
```

> It costs $5 or $6, and `$x$` is code. See [NOAA](https://tides.noaa.gov).
"""


HOSTILE = """Before.

<script>window.pwned = 1; alert('script')</script>
<img src=x onerror="window.pwned = 2; alert('img')">
<iframe src="javascript:window.parent.pwned = 3"></iframe>

![picture](http://evil.invalid/leak.png) [click](javascript:window.pwned=5)
[data](data:text/html,<script>window.pwned=6</script>) </textarea></pre></div>

```html"><img src=x onerror=alert(7)>
<script>window.pwned = 7</script>
```

**Bold stays bold.** مرحبا بالعالم \u202eright to left
"""


def chat(page: Any, number: int = 0) -> Any:
    """Return a view of the chat panel once it has what it shows."""
    panel = page.locator(".oai").nth(number)
    panel.and_(page.locator("[aria-busy=false]")).wait_for()
    return panel


def open_chat(lab: Lab, page: Any, name: str, *more: str) -> Any:
    """Open a notebook that shows the chat panel; return the panel."""
    path = lab.put(name, "%panel chat", *more)
    lab.open(page, path.name)
    lab.run_all(page)
    return chat(page)


def write(panel: Any, text: str) -> None:
    """Type a message and send it with Enter."""
    box = panel.get_by_label("Message", exact=True)
    box.fill(text)
    box.press("Enter")


def shows(panel: Any, text: str) -> None:
    """Wait until an answer holds a text (which may be scrolled out of sight)."""
    panel.locator(".oai-markdown", has_text=text).last.wait_for(state="attached")


def idle(panel: Any) -> None:
    """Wait until no answer is coming."""
    panel.locator(".oai-running").first.wait_for(state="detached")


def kept(lab: Lab, name: str) -> str:
    """Return the text of a dialogue file."""
    return (lab.root / f"{name}.dialogue.json").read_text()


def test_a_person_chats(lab: Lab, page: Any, server: ScriptedServer) -> None:
    """Typed, answered, stopped, edited, another conversation; wide and narrow, light and dark."""
    panel = open_chat(lab, page, "chat.ipynb")
    pictured(page, "chat-empty")
    server.script.then(answer(ANSWER, chunks=40, delay=0.01))
    write(panel, "What is a tide, and how high does it get?")
    shows(panel, "Two bulges")
    idle(panel)
    assert panel.locator("strong").inner_text() == "sea's"
    assert panel.locator("pre span.k").first.inner_text() == "def"
    assert "sea's" in kept(lab, "chat")
    box = panel.get_by_label("Message", exact=True)
    assert box.input_value() == ""
    box.fill("Two")
    box.press("Shift+Enter")
    box.type("lines")
    assert box.input_value() == "Two\nlines"
    hold = threading.Event()
    server.script.then(answer("One two three four", hold=hold, hold_after=3))
    box.press("Enter")
    shows(panel, "One")
    panel.get_by_role("button", name="Stop").click()
    panel.get_by_text("Cut off: the answer was stopped before its end.").wait_for()
    hold.set()
    assert '"cut_off"' in kept(lab, "chat")
    panel.get_by_role("button", name="Edit and ask again").last.click()
    panel.get_by_label("Edited message").fill("And the height?")
    panel.get_by_label("Edited message").press("Enter")
    shows(panel, "You said: And the height?. (turn 2")
    server.script.then(errors.model_not_found("gpt-5.4-mini"))
    write(panel, "This fails")
    panel.get_by_role("button", name="Try again").wait_for()
    pictured(page, "chat-error")
    panel.get_by_role("button", name="Try again").click()
    shows(panel, "You said: This fails")
    panel.get_by_role("button", name="Model and parameters").last.click()
    panel.get_by_label("Temperature").fill("warm")
    panel.get_by_label("Max tokens").focus()
    panel.get_by_text("The temperature is a number").wait_for()
    pictured(page, "chat-settings")
    panel.get_by_label("Temperature").fill("")
    panel.get_by_role("button", name="Model and parameters").last.click()
    panel.locator(".oai-log").evaluate("log => { log.scrollTop = 0; }")
    pictured(page, "chat-light")
    themed(page, DARK)
    pictured(page, "chat-dark")
    page.set_viewport_size({"width": 480, "height": 900})
    pictured(page, "chat-narrow-dark")
    panel.get_by_role("button", name="Conversations").click()
    panel.locator(".oai-new").click()
    panel.locator(".oai-markdown").first.wait_for(state="detached")
    write(panel, "Another one")
    shows(panel, "You said: Another one. (turn 1")
    themed(page, LIGHT)
    assert page.errors == []


def test_views_reload_and_restart(lab: Lab, page: Any, server: ScriptedServer) -> None:
    """Two views stay in step, a reload in the middle of an answer loses nothing, a restart goes on."""
    one = open_chat(lab, page, "views.ipynb", "%panel chat")
    two = chat(page, 1)
    write(one, "First question")
    shows(two, "You said: First question")
    hold = threading.Event()
    server.script.then(answer("Alpha beta gamma delta", hold=hold, hold_after=3))
    write(two, "Second")
    shows(one, "Alpha")
    lab.save(page)
    page.reload()
    one = chat(page)
    shows(one, "Alpha")
    hold.set()
    shows(one, "Alpha beta gamma delta")
    idle(one)
    one.get_by_role("button", name="Insert as a cell").last.click()
    sources = (
        "() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells"
        ".map(cell => cell.source)"
    )
    page.wait_for_function(f"({sources})().length === 5")
    assert page.evaluate(sources)[2:4] == [
        "%%ask --conversation chat\nFirst question",
        "%%ask --conversation chat\nSecond",
    ]
    page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    one.get_by_role("button", name="Go on").click()
    one.locator(".oai-banner").wait_for(state="hidden")
    write(one, "After the restart")
    shows(one, "You said: After the restart. (turn 3, messages 5)")
    asked = len(server.requests)
    lab.run_all(page)
    assert len(server.requests) == asked, "the inserted cells are replayed"
    assert page.errors == []


def test_a_line_that_loses(lab: Lab, page: Any, server: ScriptedServer) -> None:
    """What is lost on its way is told again, what comes twice is done once, and nothing typed is lost."""
    deaf, lost = True, []

    def routed(line: Any) -> None:
        kernel = line.connect_to_server()

        def told(message: Any) -> None:
            said = message if isinstance(message, bytes) else message.encode()
            if b'"type":"ready"' in said and deaf:
                lost.append("ready")
            elif b'"type":"ask"' in said and "ask" not in lost:
                lost.append("ask")
            else:
                kernel.send(message)
                if b'"type":"ask"' in said:
                    kernel.send(message)

        line.on_message(told)

    page.route_web_socket(re.compile("/api/kernels/.*/channels"), routed)
    before = len(server.requests)
    lab.open(page, lab.put("loses.ipynb", "%panel chat").name)
    lab.run_all(page)
    panel = page.locator(".oai[aria-busy=true]")
    box = page.get_by_label("Message", exact=True)
    panel.wait_for()
    box.fill("Typed early")
    while lost.count("ready") < 2:
        page.wait_for_timeout(50)  # of the page's events, until it has asked again
    deaf = False
    panel = chat(page)
    assert box.input_value() == "Typed early"
    box.press("Enter")
    shows(panel, "You said: Typed early. (turn 1")
    idle(panel)
    assert box.input_value() == ""
    write(panel, "Second")
    shows(panel, "You said: Second. (turn 2")
    idle(panel)
    assert lost.count("ask") == 1
    assert [request.said for request in server.requests[before:]] == ["Typed early", "Second"]
    hold = threading.Event()
    server.script.then(answer("never", hold=hold))
    write(panel, "Cut short")
    panel.locator(".oai-running").wait_for()
    page.wait_for_function("box => box.value === ''", arg=box.element_handle())
    page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    panel.get_by_role("button", name="Go on").click()
    panel.locator(".oai-banner").wait_for(state="hidden")
    assert box.input_value() == "Cut short"
    hold.set()
    box.press("Enter")
    shows(panel, "You said: Cut short. (turn 3")
    assert page.errors == []


def test_hostile_answers_do_nothing(lab: Lab, page: Any, server: ScriptedServer) -> None:
    """Nothing of an answer runs or loads, whole or while it grows; 1 MB of it is shown, too."""
    panel = open_chat(lab, page, "hostile-chat.ipynb")
    server.script.then(
        answer(HOSTILE, chunks=60, delay=0.005), answer("word " * 200_000, chunks=2000)
    )
    write(panel, "<img src=x onerror=alert(8)> </textarea><script>window.pwned=8</script>")
    shows(panel, "right to left")
    idle(panel)
    write(panel, "Much")
    shows(panel, "word word")
    idle(panel)
    settled(page)
    assert page.evaluate("() => window.pwned") is None
    assert page.dialogs == []
    assert page.strangers == []
    log = panel.locator(".oai-log")
    assert log.locator("script, img, iframe, a[href^=javascript], a[href^=data]").count() == 0
    assert log.locator("strong").text_content() == "Bold stays bold."
    assert len(panel.locator(".oai-markdown").last.text_content()) > 900_000
    assert page.errors == []


def test_images(lab: Lab, page: Any, server: ScriptedServer) -> None:
    """By file chooser, drop and paste, with thumbnails; a PDF is refused, 30 MB come through."""
    panel = open_chat(lab, page, "images.ipynb")
    data = encoded(photograph(320, 240), "PNG")
    files = [lab.root / "sea.png", lab.root / "paper.pdf", lab.root / "large.png"]
    for path, content in zip(files, (data, b"%PDF-1.7 x", data + b"0" * (30 << 20)), strict=True):
        path.write_bytes(content)
    with page.expect_file_chooser() as chooser:
        panel.get_by_role("button", name="Attach images").click()
    chooser.value.set_files(files)
    panel.get_by_text("paper.pdf is a PDF document").wait_for()
    panel.get_by_role("img", name="large.png").wait_for()
    given = """([name, kind]) => {
        const bytes = Uint8Array.from(atob(window.given), (one) => one.charCodeAt(0));
        const holder = new DataTransfer();
        holder.items.add(new File([bytes], name, { type: "image/png" }));
        const box = document.querySelector(".oai textarea[aria-label=Message]");
        const more = { bubbles: true, cancelable: true };
        box.dispatchEvent(kind === "paste"
            ? new ClipboardEvent(kind, { ...more, clipboardData: holder })
            : new DragEvent(kind, { ...more, dataTransfer: holder }));
    }"""
    page.evaluate("text => { window.given = text; }", base64.b64encode(data).decode())
    page.evaluate(given, ["pasted.png", "paste"])
    page.evaluate(given, ["dropped.png", "drop"])
    panel.get_by_role("img", name="dropped.png").wait_for()
    panel.get_by_role("button", name="Remove large.png").click()
    pictured(page, "chat-attached")
    write(panel, "What do you see?")
    shows(panel, "images 3")
    assert panel.locator(".oai-asked img").count() == 3
    assert page.errors == []


def test_in_notebook_7(lab: Lab, page: Any, server: ScriptedServer) -> None:
    """The same panel in Notebook 7: asked, answered, inserted as a cell."""
    lab.put("seven.ipynb", "%panel chat")
    lab.open(page, "seven.ipynb", "notebooks")
    page.errors.clear()  # those of Notebook 7 itself, before there is a panel
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells").first.click()
    panel = chat(page)
    write(panel, "In Notebook 7")
    shows(panel, "You said: In Notebook 7")
    panel.get_by_role("button", name="Insert as a cell").click()
    page.get_by_text("%%ask --conversation chat").first.wait_for()
    pictured(page, "chat-notebook-7")
    assert page.errors == []


def test_in_voila(lab: Lab, page: Any, server: ScriptedServer) -> None:
    """The same panel behind Voilà, where there is no notebook to insert a cell into."""
    # Voilà tells no name: the notebook is found by its content, so it stands apart.
    lab.put("apart/voila.ipynb", "%panel chat")
    lab.go(page, "voila/render", "apart/voila.ipynb")
    panel = chat(page)
    panel.get_by_text("What is said here is kept in voila.dialogue.json").wait_for()
    write(panel, "In Voilà")
    shows(panel, "You said: In Voilà")
    panel.get_by_role("button", name="Insert as a cell").click()
    toast = panel.locator(".oai-toast")
    toast.wait_for()
    assert "copied" in toast.inner_text()
    pictured(page, "chat-voila")
    assert page.errors == []
