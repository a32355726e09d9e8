// The line to the kernel, across its restarts.

/** Talks to the panel in the kernel; tells `told(message, buffers)` what it says and `lost()` when it is gone. */
class Link {
  constructor(model, panel, told, lost) {
    this.manager = model.widget_manager;
    this.panel = panel;
    this.told = told;
    this.lost = lost;
    this.view = identity("view");
    this.alive = false;
    this.modelId = null;
    this.hear = (message, buffers) => {
      if (message.view && message.view !== this.view) return;
      this.alive = true;
      if (message.model && !this.modelId) {
        this.modelId = message.model;
        this.current().then((model) => (this.first = model));
      }
      this.told(message, buffers ?? []);
    };
    this.checkSoon = () => {
      this.alive = false;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.check(), 400);
    };
    this.connect(model);
  }

  connect(model) {
    this.model?.off("msg:custom", this.hear);
    this.model?.off("comm_live_update", this.checkSoon);
    this.model = model;
    model.on("msg:custom", this.hear);
    model.on("comm_live_update", this.checkSoon);
  }

  send(message, buffers) {
    try {
      this.model.send({ ...message, view: this.view }, undefined, buffers);
      return true;
    } catch {
      this.checkSoon();
      return false;
    }
  }

  ready() {
    return this.send({ type: "ready" });
  }

  /** See whether the panel is still there: its kernel may have been restarted, or only the line cut. */
  check() {
    try {
      this.model.send({ type: "ready", view: this.view });
    } catch {
      // The answer, which does not come, tells.
    }
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (this.alive) return;
      this.lost();
      this.lookOut();
    }, 1500);
  }

  /** The model that the manager has now under the panel's id: after a restart another one. */
  async current() {
    try {
      return (await this.manager?.get_model?.(this.modelId)) ?? null;
    } catch {
      return null;
    }
  }

  /** Until somebody has brought the panel back, from here or elsewhere, look whether it is there. */
  lookOut() {
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      const model = await this.current();
      if (this.alive || this.closed) return;
      if (model && model !== this.first) {
        this.first = model;
        this.connect(model);
        this.ready();
      }
      this.lookOut();
    }, 1000);
  }

  /** The kernel of the notebook, where the front end lets a widget reach it. */
  get kernel() {
    return this.manager?.kernel ?? null;
  }

  /** Make the panel anew in the kernel that was restarted; false where that cannot be done from here. */
  async revive(detail) {
    if (!this.kernel?.requestExecute || !this.modelId) return false;
    // What is asked of a kernel while it still restarts is lost.
    for (let tries = 0; tries < 60 && this.kernel.status !== "idle"; tries += 1) {
      await new Promise((done) => setTimeout(done, 500));
    }
    const code =
      `__import__("openai_magics").get_session().${this.panel}_panel()` +
      `.revive(${JSON.stringify(detail)})`;
    const done = await this.kernel.requestExecute({ code, silent: true, store_history: false }).done;
    return done.content.status === "ok";
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.model.off("msg:custom", this.hear);
    this.model.off("comm_live_update", this.checkSoon);
  }
}

/** Put cells into the notebook below the one that shows `element`; false where there is no notebook. */
function insertCells(manager, element, sources) {
  const shared = manager?.context?.model?.sharedModel;
  if (!shared?.insertCells) return false;
  const own = element.closest(".jp-Cell");
  const shown = own?.dataset?.windowedListIndex;
  let index = shown === undefined ? -1 : Number(shown);
  if (index < 0 && own) index = [...own.parentElement.querySelectorAll(":scope > .jp-Cell")].indexOf(own);
  const at = index < 0 ? shared.cells.length : index + 1;
  shared.insertCells(
    at,
    sources.map((source) => ({ cell_type: "code", source, metadata: {} })),
  );
  return true;
}
