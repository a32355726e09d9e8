// Where a message is written: text, images by drop, paste and file chooser, send and stop.

const PIECE = 1 << 20; // bytes of a message: Jupyter's server refuses those of more than 10 MB

class Composer {
  constructor(act, where) {
    this.act = act;
    this.images = new Map();
    this.running = null;
    this.box = make("textarea", {
      rows: 1,
      dir: "auto",
      placeholder: "Message",
      "aria-label": "Message",
      oninput: () => this.typed(),
      onkeydown: (event) => this.key(event),
      onpaste: (event) => this.pasted(event),
    });
    this.chooser = make("input", {
      type: "file",
      accept: "image/*",
      multiple: true,
      hidden: true,
      onchange: () => {
        this.attach([...this.chooser.files]);
        this.chooser.value = "";
      },
    });
    this.strip = make("ul", { className: "oai-strip", "aria-label": "Attached images", hidden: true });
    this.send = button("send", "Send", () => this.submit(), { kind: "oai-send" });
    this.stop = button("stop", "Stop", () => this.act.stop(), { kind: "oai-send oai-stop" });
    this.stop.hidden = true;
    this.hint = make("span", { className: "oai-hint", role: "status" });
    this.problem = make("div", { className: "oai-trouble", role: "alert", hidden: true });
    this.element = make(
      "div",
      { className: "oai-composer" },
      this.problem,
      make(
        "div",
        { className: "oai-box" },
        this.strip,
        this.box,
        make(
          "div",
          { className: "oai-row oai-under" },
          button("attach", "Attach images", () => this.chooser.click()),
          this.hint,
          this.stop,
          this.send,
        ),
      ),
      this.chooser,
    );
    this.over = make("div", { className: "oai-drop", hidden: true }, "Drop images to attach them");
    this.accept(where);
    this.wait(false);
    this.typed();
  }

  /** Say whether the kernel has not taken yet what was sent. */
  wait(waiting) {
    const text = waiting ? "The kernel is busy: it is sent when it listens." : "Enter sends, Shift+Enter begins a line";
    if (this.hint.textContent !== text) this.hint.textContent = text;
  }

  /** Take what is dropped anywhere on the panel. */
  accept(where) {
    let depth = 0;
    const holds = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    const listen = (kind, then) =>
      where.addEventListener(kind, (event) => {
        if (!holds(event)) return;
        event.preventDefault();
        event.stopPropagation();
        then(event);
        this.over.hidden = depth <= 0;
      });
    listen("dragenter", () => (depth += 1));
    listen("dragleave", () => (depth -= 1));
    listen("dragover", () => {});
    listen("drop", (event) => {
      depth = 0;
      this.attach([...event.dataTransfer.files]);
    });
    where.append(this.over);
  }

  pasted(event) {
    const files = [...event.clipboardData.files];
    if (!files.length) return;
    event.preventDefault();
    this.attach(files);
  }

  async attach(files) {
    this.trouble("");
    for (const file of files) await this.upload(identity("image"), file);
    this.box.focus();
  }

  async upload(id, file) {
    const name = file.name || "pasted image";
    this.put(id, name, null, file);
    const data = await file.arrayBuffer();
    let at = 0;
    do {
      const piece = data.slice(at, at + PIECE);
      at += PIECE;
      this.act.attach({ id, name, last: at >= data.byteLength }, piece);
    } while (at < data.byteLength);
  }

  /** Show an image that is attached; without a picture it is still on its way. */
  put(id, name, image, file = this.images.get(id)?.file) {
    this.images.get(id)?.element.remove();
    const element = make(
      "li",
      { className: image ? "oai-thumb" : "oai-thumb oai-coming", title: name },
      image ?? make("span", { className: "oai-unseen", textContent: `${name} is on its way` }),
      button("close", `Remove ${name}`, () => this.act.detach(id)),
    );
    this.images.set(id, { element, name, file, whole: Boolean(image) });
    this.strip.append(element);
    this.typed();
  }

  drop(id) {
    this.images.get(id)?.element.remove();
    this.images.delete(id);
    this.typed();
  }

  /** Show just the images that the kernel holds; another kernel gets those again that are at hand. */
  hold(attached, buffers, anew = false) {
    const known = new Set(attached.map(({ id }) => id));
    for (const [id, { whole, file }] of [...this.images]) {
      if (known.has(id)) continue;
      if (anew && file) this.upload(id, file).catch(() => this.drop(id));
      else if (anew || whole) this.drop(id);
    }
    for (const { id, name, buffer } of attached) {
      if (!this.images.get(id)?.whole && buffer !== null) this.put(id, name, picture(buffers[buffer], name));
    }
  }

  typed() {
    fit(this.box);
    this.strip.hidden = this.images.size === 0;
    const empty = !this.box.value.trim();
    const coming = [...this.images.values()].some(({ whole }) => !whole);
    this.send.disabled = empty || coming;
    this.act.draft?.(this.box.value);
  }

  key(event) {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.submit();
    } else if (event.key === "Escape" && this.running) {
      event.preventDefault();
      this.act.stop();
    }
  }

  submit() {
    if (this.running) {
      this.trouble("An answer is still coming. Wait for it, or stop it.");
    } else if ([...this.images.values()].some(({ whole }) => !whole)) {
      this.trouble("An image is still on its way. Send when its thumbnail is there.");
    } else if (this.box.value.trim()) {
      this.trouble("");
      this.act.ask(this.box.value, [...this.images.keys()]);
    }
  }

  /** What was written has been taken. */
  clear() {
    this.box.value = "";
    this.typed();
  }

  run(running) {
    this.running = running;
    const focused = document.activeElement;
    this.stop.hidden = !running;
    this.send.hidden = Boolean(running);
    if (focused === this.stop && !running) this.box.focus();
    if (focused === this.send && running) this.stop.focus();
  }

  trouble(text) {
    this.problem.textContent = text;
    this.problem.hidden = !text;
  }
}
