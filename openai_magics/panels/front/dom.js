// Elements, icons and small helpers that the panels share. The files of a panel are joined to
// one module (openai_magics.panels.base.front), so nothing here is imported or exported.
//
// Only HTML that our own renderer made (openai_magics.render) is ever given to `rendered`;
// everything else is text.

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  attach: ["M20 11.5 12.2 19.3a5 5 0 0 1-7.1-7.1l8.5-8.5a3.4 3.4 0 0 1 4.8 4.8l-8.4 8.4a1.7 1.7 0 0 1-2.4-2.4l7.7-7.7"],
  cell: ["M4 5h16v14H4z", "M9.5 9.5 7 12l2.5 2.5", "M13 15h4"],
  check: ["M5 12.5 10 17.5 19.5 7"],
  close: ["M6 6 18 18", "M18 6 6 18"],
  copy: ["M9 9h10v11H9z", "M15 5H5v11"],
  down: ["M12 5v14", "M6 13l6 6 6-6"],
  edit: ["M4 20h4.5L19.5 9 15 4.5 4 15.5z", "M13 6.5 17.5 11"],
  list: ["M4 7h16", "M4 12h16", "M4 17h10"],
  plus: ["M12 5v14", "M5 12h14"],
  retry: ["M19.5 12a7.5 7.5 0 1 1-2.4-5.5", "M19.8 3.5v4.2h-4.2"],
  send: ["M12 19V5", "M6 11l6-6 6 6"],
  settings: ["M4 8h9", "M19 8h1", "M4 16h1", "M11 16h9", "M13 8a3 3 0 1 0 6 0a3 3 0 1 0-6 0", "M5 16a3 3 0 1 0 6 0a3 3 0 1 0-6 0"],
  stop: ["M7 7h10v10H7z"],
};

/** Make an element: properties are set, `on…` are listeners, `aria-…`, `role` and the like attributes. */
function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key in element && !key.includes("-")) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  svg.classList.add("oai-icon");
  for (const line of ICONS[name]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", line);
    svg.append(path);
  }
  return svg;
}

/** A button with an icon; its label is its tooltip, or stands beside it where `words` is true. */
function button(name, label, onclick, { words = false, kind = "" } = {}) {
  return make(
    "button",
    {
      type: "button",
      className: `oai-button ${kind}`,
      title: words ? undefined : label,
      "aria-label": words ? undefined : label,
      onclick,
    },
    icon(name),
    words ? make("span", { textContent: label }) : null,
  );
}

/** Show HTML of our own renderer in an element. */
function rendered(element, html) {
  element.innerHTML = html;
  return element;
}

/** Copy text, also where the page is not served safely and has no clipboard of its own. */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const box = make("textarea", { value: text, className: "oai-unseen", "aria-hidden": "true" });
    document.body.append(box);
    box.select();
    const done = document.execCommand("copy");
    box.remove();
    return done;
  }
}

/** A button that copies, and says for a moment that it did. */
function copyButton(label, text) {
  const made = button("copy", label, async () => {
    const done = await copyText(text());
    made.replaceChildren(icon(done ? "check" : "close"));
    made.title = done ? "Copied" : "Not copied: the browser does not allow it";
    setTimeout(() => {
      made.replaceChildren(icon("copy"));
      made.title = label;
    }, 1500);
  });
  return made;
}

/** Give each block of code in rendered HTML its language and a button that copies it. */
function dressCode(element) {
  for (const pre of element.querySelectorAll("pre:not(.oai-dressed)")) {
    const code = pre.querySelector("code");
    if (!code) continue;
    pre.classList.add("oai-dressed");
    pre.tabIndex = 0;
    const language = /(?:^|\s)language-(\S+)/.exec(code.className)?.[1] ?? "";
    const head = make(
      "div",
      { className: "oai-code-head" },
      make("span", { textContent: language }),
      copyButton("Copy code", () => code.textContent.replace(/\n$/, "")),
    );
    const box = make("div", { className: "oai-code" });
    pre.replaceWith(box);
    box.append(head, pre);
  }
  for (const table of element.querySelectorAll("table:not(.oai-dressed)")) {
    table.classList.add("oai-dressed");
    const box = make("div", { className: "oai-table", tabIndex: 0 });
    table.replaceWith(box);
    box.append(table);
  }
}

/** The picture of a buffer that came with a message; the address lives as long as the page. */
function picture(buffer, caption) {
  const address = URL.createObjectURL(new Blob([buffer], { type: "image/png" }));
  return make("img", { src: address, alt: caption, title: caption });
}

let identities = 0;
/** An id that no other element or upload of any view has. */
function identity(prefix) {
  identities += 1;
  return `${prefix}-${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}-${identities}`;
}
