// The line to the kernel, across its restarts.
//
// A message of a widget can be lost, come twice or out of order (openai_magics.panels.inbox). So
// what a view tells is numbered, kept until the kernel has acknowledged it, and told again.

const AGAIN = [1500, 3000, 6000, 12000]; // milliseconds until the same is told again
const FLOW = 4; // messages on their way at once: an image is many of 1 MB
const UNREADY = ["restarting", "autorestarting", "terminating", "dead"];

const pause = (milliseconds, value) => new Promise((done) => setTimeout(done, milliseconds, value));

/**
 * Talks to the panel in the kernel; tells `told(message, buffers)` what it says, `lost()` when it
 * is gone, and `back(model)` when another kernel has it.
 */
class Link {
  constructor(model, panel, told, lost, back) {
    this.manager = model.widget_manager;
    this.panel = panel;
    this.told = told;
    this.lost = lost;
    this.back = back ?? ((found) => (this.connect(found), this.ready()));
    this.alive = false;
    this.modelId = null;
    this.hear = (message, buffers) => {
      if (message.view && message.view !== this.view) return;
      this.alive = true;
      if (message.model && !this.modelId) {
        this.modelId = message.model;
        this.current().then((model) => (this.first = model));
      }
      if (message.type === "had") return this.had(message.number);
      if (message.type === "opened") this.known = true;
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
    this.view = identity("view"); // a new kernel counts its messages anew
    this.count = 0;
    this.waiting = [];
    this.known = false;
    model.on("msg:custom", this.hear);
    model.on("comm_live_update", this.checkSoon);
  }

  /** Tell the kernel something; `taken()` is called when it has it, after what it says to it. */
  send(message, buffers, taken) {
    this.count += 1;
    const item = { message: { ...message, number: this.count }, buffers, taken };
    this.waiting.push(item);
    if (this.waiting.length <= FLOW) this.post(item);
    if (this.waiting.length === 1) this.sendAgain();
  }

  post(item) {
    item.posted = true;
    try {
      this.model.send({ ...item.message, view: this.view }, undefined, item.buffers);
    } catch {
      if (!this.gone) this.checkSoon();
    }
  }

  sendAgain(tries = 0) {
    clearTimeout(this.again);
    if (tries === 0) this.told({ type: "waiting", waiting: false }, []);
    if (!this.waiting.length) return;
    this.again = setTimeout(() => {
      this.told({ type: "waiting", waiting: true }, []);
      this.post(this.waiting[0]);
      this.sendAgain(tries + 1);
    }, AGAIN[Math.min(tries, AGAIN.length - 1)]);
  }

  /** The kernel has all up to this number. */
  had(number) {
    if (!this.waiting.length || this.waiting[0].message.number > number) return;
    while (this.waiting.length && this.waiting[0].message.number <= number) this.waiting.shift().taken?.();
    for (const item of this.waiting.slice(0, FLOW)) if (!item.posted) this.post(item);
    this.sendAgain();
  }

  /** Ask for all that there is to show, until it comes. */
  ready(tries = 0) {
    clearTimeout(this.asking);
    this.known = false;
    this.post({ message: { type: "ready" } });
    this.asking = setTimeout(
      () => this.known || this.closed || this.ready(tries + 1),
      AGAIN[Math.min(tries, AGAIN.length - 1)],
    );
  }

  /** See whether the panel is still there: its kernel may have been restarted, or only the line cut. */
  check() {
    this.gone = true; // as long as nothing is heard
    this.ready();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.gone = !this.alive;
      if (this.alive || this.closed) return;
      clearTimeout(this.asking);
      clearTimeout(this.again);
      this.waiting = []; // who wrote it has it still
      this.told({ type: "waiting", waiting: false }, []);
      this.lost();
      this.lookOut();
    }, 1500);
  }

  /** The model that the manager has now under the panel's id: after a restart another one. */
  async current() {
    try {
      return (await Promise.race([this.manager?.get_model?.(this.modelId), pause(5000)])) ?? null;
    } catch {
      return null;
    }
  }

  /** Until somebody has brought the panel back, from here or elsewhere, look whether it is there. */
  lookOut() {
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      const model = await this.current();
      if (this.alive || this.closed) {
        this.gone = false;
        return;
      }
      if (model && model !== this.first) {
        this.first = model;
        this.gone = false;
        this.back(model);
      }
      this.lookOut();
    }, 1000);
  }

  /** The kernel of the notebook, where the front end lets a widget reach it. */
  get kernel() {
    return this.manager?.kernel ?? null;
  }

  /** Make the panel anew in the kernel that was restarted; returns what is to be said where that failed. */
  async revive(detail) {
    const code =
      `__import__("openai_magics").get_session().${this.panel}_panel()` +
      `.revive(${JSON.stringify(detail)})`;
    const end = Date.now() + 180_000;
    while (Date.now() < end) {
      const failed = await this.execute(code);
      if (failed) return failed;
      if (failed === null) {
        await pause(500);
        continue;
      }
      // Whether or not the kernel said that it was done: what counts is that it is heard.
      for (let turns = 0; turns < 40; turns += 1) {
        if (this.alive || this.closed) return "";
        await pause(250);
      }
    }
    return "The kernel does not answer.";
  }

  /** Execute code; returns why that failed, "" where it did not or nothing is known of it, null where it cannot yet be. */
  async execute(code) {
    const { kernel } = this;
    if (!kernel || kernel.connectionStatus !== "connected" || UNREADY.includes(kernel.status)) return null;
    const { done } = kernel.requestExecute({ code, silent: true, store_history: false });
    const ended = done.then(
      ({ content }) => (content.status === "error" ? `${content.ename}: ${content.evalue}` : ""),
      () => "", // the kernel was restarted again
    );
    // What is asked of a kernel while it still restarts can be lost without a word.
    for (let quiet = 0; quiet < 20 && !this.alive; quiet = kernel.status === "busy" ? 0 : quiet + 1) {
      const said = await Promise.race([ended, pause(500, null)]);
      if (said !== null) return said;
    }
    return "";
  }

  close() {
    this.closed = true;
    for (const timer of [this.timer, this.again, this.asking]) clearTimeout(timer);
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
