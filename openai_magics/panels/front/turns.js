// The turns of a conversation: a row each, in a log that keeps its end in sight.

/** One turn: the prompt, then the answer or what became of it. */
class Row {
  constructor(turn, buffers, act) {
    this.act = act;
    this.element = make("article", { className: "oai-turn" });
    this.show(turn, buffers);
  }

  show(turn, buffers) {
    this.turn = turn;
    this.number = turn.growing?.number ?? 0;
    this.element.classList.toggle("oai-running", Boolean(turn.running));
    this.element.replaceChildren(this.asked(buffers), this.answer());
  }

  asked(buffers) {
    const { turn } = this;
    const images = turn.images.map(({ caption, buffer }) =>
      buffer === null || !buffers[buffer]
        ? make("span", { className: "oai-gone", textContent: caption })
        : picture(buffers[buffer], caption),
    );
    this.bubble = make(
      "div",
      { className: "oai-asked" },
      make("h3", { className: "oai-unseen", textContent: "You" }),
      images.length ? make("div", { className: "oai-pictures" }, ...images) : null,
      make("div", { className: "oai-words", dir: "auto", textContent: turn.asked }),
    );
    const actions = make("div", { className: "oai-actions" });
    if (turn.cell) actions.append(make("span", { className: "oai-badge", textContent: "from a cell" }));
    if (!turn.running) {
      actions.append(
        copyButton("Copy prompt", () => turn.asked),
        button("edit", "Edit and ask again", () => this.edit()),
      );
    }
    return make("div", { className: "oai-prompt" }, this.bubble, actions);
  }

  answer() {
    const { turn } = this;
    const box = make(
      "div",
      { className: "oai-answer" },
      make("h3", { className: "oai-unseen", textContent: "Answer" }),
    );
    if (turn.running || (turn.failure && turn.growing)) {
      this.tail = make("div", { className: "oai-tail" });
      this.body = make("div", { className: "oai-markdown", dir: "auto" }, this.tail);
      this.notice = make("div", { className: "oai-notice", textContent: turn.notice ?? "" });
      box.append(this.body, this.notice);
      this.grow(turn.growing);
    } else if (turn.html) {
      this.body = rendered(make("div", { className: "oai-markdown", dir: "auto" }), turn.html);
      dressCode(this.body);
      box.append(this.body);
    }
    for (const note of turn.notes) box.append(make("div", { className: "oai-note", textContent: note }));
    if (turn.failure) box.append(this.failed(turn.failure));
    if (!turn.running) box.append(this.foot());
    return box;
  }

  foot() {
    const { turn } = this;
    const actions = make("div", { className: "oai-actions" });
    if (!turn.failure) {
      actions.append(
        copyButton("Copy answer", () => turn.text),
        button("retry", "Ask for another answer", () => this.act.retry(turn.id)),
      );
      if (turn.standing) {
        actions.append(button("cell", "Insert as a cell", () => this.act.cells(turn.id)));
      }
    }
    if (turn.replayed) {
      actions.append(
        make("span", {
          className: "oai-badge",
          title: "This answer was in the dialogue file; no model was asked.",
          textContent: "replayed",
        }),
      );
    }
    const facts = [turn.model, turn.usage].filter(Boolean).join(" · ");
    actions.append(make("span", { className: "oai-facts", textContent: facts }));
    return actions;
  }

  failed(failure) {
    const { turn } = this;
    const box = make(
      "div",
      { className: "oai-failure", role: "alert" },
      make("p", { className: "oai-problem", textContent: failure.problem }),
      failure.remedy ? make("p", { textContent: failure.remedy }) : null,
    );
    if (failure.key) box.append(this.keyForm());
    box.append(
      make(
        "div",
        { className: "oai-row" },
        button("retry", "Try again", () => this.act.retry(turn.id), { words: true }),
        button("edit", "Edit", () => this.edit(), { words: true }),
        turn.growing
          ? button("close", "Dismiss", () => this.act.dismiss(), { words: true })
          : null,
      ),
    );
    return box;
  }

  keyForm() {
    const id = identity("key");
    const field = make("input", { id, type: "password", autocomplete: "off", spellcheck: false });
    return make(
      "form",
      {
        className: "oai-key",
        onsubmit: (event) => {
          event.preventDefault();
          const key = field.value;
          field.value = "";
          this.act.key(key, this.turn.id);
        },
      },
      make("label", { htmlFor: id, textContent: "API key (not shown, not saved)" }),
      make(
        "div",
        { className: "oai-row" },
        field,
        make("button", { type: "submit", className: "oai-button oai-strong", textContent: "Use it" }),
      ),
    );
  }

  /** Put a box in the place of the prompt, with what was asked in it. */
  edit() {
    const box = make("textarea", { value: this.turn.asked, "aria-label": "Edited message", dir: "auto" });
    const cancel = () => {
      form.replaceWith(this.bubble);
      this.element.querySelector(".oai-prompt .oai-actions button:last-child")?.focus();
    };
    const save = () => {
      if (box.value.trim()) this.act.edit(this.turn.id, box.value);
      else cancel();
    };
    const form = make(
      "form",
      {
        className: "oai-editing",
        onsubmit: (event) => {
          event.preventDefault();
          save();
        },
        onkeydown: (event) => {
          if (event.key === "Escape") {
            event.stopPropagation();
            cancel();
          } else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
            event.preventDefault();
            save();
          }
        },
      },
      box,
      make(
        "div",
        { className: "oai-row" },
        make("button", { type: "submit", className: "oai-button oai-strong", textContent: "Ask again" }),
        make("button", { type: "button", className: "oai-button", textContent: "Cancel", onclick: cancel }),
      ),
    );
    this.bubble.replaceWith(form);
    fit(box);
    box.focus();
    box.setSelectionRange(box.value.length, box.value.length);
  }

  /** Show what is new of the answer; false where something before it was missed. */
  grow({ number, settled, tail }, next = false) {
    if (next && number !== this.number + 1) return false;
    this.number = number;
    if (settled) {
      const part = rendered(make("div", { className: "oai-part" }), settled);
      dressCode(part);
      this.tail.before(part);
    }
    rendered(this.tail, tail);
    if (settled || tail) this.notice.textContent = "";
    return true;
  }
}

/** The log: the rows that are there, and the place from which earlier ones are fetched. */
class Log {
  constructor(act, fetchEarlier) {
    this.act = act;
    this.rows = [];
    this.from = 0;
    this.top = make("div", { className: "oai-top", "aria-hidden": "true" });
    this.list = make("div", { className: "oai-list" });
    this.element = make(
      "div",
      { className: "oai-log", role: "log", "aria-live": "off", "aria-label": "Messages", tabIndex: 0 },
      this.top,
      this.list,
    );
    this.latest = button("down", "To the latest message", () => this.toEnd(true), { kind: "oai-latest" });
    this.latest.hidden = true;
    this.atEnd = true;
    this.lastTop = 0;
    this.element.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting) && this.from > 0 && !this.fetching) {
          this.fetching = true;
          fetchEarlier(this.from);
        }
      },
      { root: this.element, rootMargin: "600px 0px 0px 0px" },
    );
    this.observer.observe(this.top);
    this.sizes = new ResizeObserver(() => this.atEnd && this.toEnd());
    this.sizes.observe(this.list);
  }

  get total() {
    return this.from + this.rows.length;
  }

  fill(turns, from, buffers) {
    this.rows = turns.map((turn) => new Row(turn, buffers, this.act));
    this.from = from;
    this.fetching = false;
    this.list.replaceChildren(...this.rows.map((row) => row.element));
    this.atEnd = true;
    this.toEnd();
  }

  earlier(turns, from, buffers) {
    this.fetching = false;
    if (from + turns.length !== this.from) return;
    const rows = turns.map((turn) => new Row(turn, buffers, this.act));
    const below = this.element.scrollHeight - this.element.scrollTop;
    this.rows.unshift(...rows);
    this.from = from;
    this.list.prepend(...rows.map((row) => row.element));
    this.element.scrollTop = this.element.scrollHeight - below;
    // What is seen already need not enter the view again to be noticed.
    this.observer.unobserve(this.top);
    this.observer.observe(this.top);
  }

  begin(at, turn, buffers) {
    const keep = at - this.from;
    if (keep < 0 || keep > this.rows.length) return false;
    for (const row of this.rows.splice(keep)) row.element.remove();
    const row = new Row(turn, buffers, this.act);
    this.rows.push(row);
    this.list.append(row.element);
    this.toEnd(true);
    return true;
  }

  row(id) {
    return this.rows.findLast((row) => row.turn.id === id);
  }

  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    const near = scrollHeight - scrollTop - clientHeight < 48;
    // What grows below does not move the reader away from the end: only who scrolls up leaves it.
    if (near || scrollTop < this.lastTop - 2) this.atEnd = near;
    this.lastTop = scrollTop;
    this.latest.hidden = this.atEnd;
  }

  toEnd(always = false) {
    if (always || this.atEnd) {
      this.element.scrollTop = this.element.scrollHeight;
      this.atEnd = true;
      this.latest.hidden = true;
    }
  }

  close() {
    this.observer.disconnect();
    this.sizes.disconnect();
  }
}

/** Make a box as high as its text, up to a limit of its style. */
function fit(box) {
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight + 2}px`;
}
