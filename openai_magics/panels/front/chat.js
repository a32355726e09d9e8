// The chat panel: what is said in the kernel is shown, what is done here is told to the kernel.

function render({ model, el }) {
  const link = new Link(model, "chat", told, lost);
  let state = null;
  const act = {
    ask: (text, images) => {
      if (asked) return composer.trouble("It is on its way already.");
      const sent = (asked = { text, conversation: state?.open });
      link.send({ type: "ask", text, images }, undefined, () => sent === asked && taken());
    },
    attach: (message, piece) => link.send({ type: "attach", ...message }, [piece]),
    cells: (id) => link.send({ type: "cells", id }),
    choose: (form) => link.send({ type: "choose", form }),
    detach: (id) => {
      composer.drop(id);
      link.send({ type: "detach", id });
    },
    dismiss: () => link.send({ type: "dismiss" }),
    draft: (text) => state && keepDraft(state.open, text),
    edit: (id, text) => link.send({ type: "edit", id, text }),
    key: (key, id) => {
      link.send({ type: "key", key });
      link.send({ type: "retry", id });
    },
    models: () => link.send({ type: "models" }),
    retry: (id) => link.send({ type: "retry", id }),
    stop: () => link.send({ type: "stop" }),
  };
  let asked = null; // what was sent from here and not taken yet
  let unanswered = null; // what the kernel had taken when it was gone
  let run = null; // of which kernel the state is
  let reviving = false;

  const log = new Log(act, (before) => link.send({ type: "earlier", before }));
  const settings = new Settings(act);
  const status = make("div", { className: "oai-unseen", role: "status" });
  const banner = make("div", { className: "oai-banner", role: "alert", hidden: true });
  const toast = make("div", { className: "oai-toast", role: "status", hidden: true });
  const title = make("h2", { className: "oai-title" });
  const facts = make("span", { className: "oai-facts" });
  const mode = make("span", { className: "oai-badge", hidden: true });
  const names = make("ul", { className: "oai-names" });
  const side = make(
    "nav",
    { className: "oai-side", "aria-label": "Conversations" },
    button("plus", "New conversation", () => startNew(), { words: true, kind: "oai-new" }),
    names,
  );
  const openSide = button("list", "Conversations", () => toggleSide(), { kind: "oai-open-side" });
  const openSettings = button("settings", "Model and parameters", () => toggleSettings());
  openSettings.setAttribute("aria-expanded", "false");
  const modelName = make("button", {
    type: "button",
    className: "oai-model",
    title: "Model and parameters",
    onclick: () => toggleSettings(),
  });
  const empty = make(
    "div",
    { className: "oai-empty" },
    make("p", { className: "oai-hello", textContent: "What would you like to ask?" }),
    make("p", { className: "oai-where" }),
  );
  const root = make("section", { className: "oai", "aria-label": "Chat", "aria-busy": "true" });
  const composer = new Composer(act, root);
  const main = make(
    "div",
    { className: "oai-main" },
    make("header", { className: "oai-head" }, openSide, title, mode, facts, modelName, openSettings),
    settings.element,
    banner,
    make("div", { className: "oai-middle" }, log.element, empty, log.latest, toast),
    composer.element,
  );
  root.append(side, main, status);
  // Keys that are meant for a button here would else be JupyterLab's commands.
  root.dataset.lmSuppressShortcuts = "true";
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && root.classList.contains("oai-listing")) toggleSide(false);
    event.stopPropagation();
  });
  root.addEventListener("contextmenu", (event) => event.stopPropagation());
  el.append(root);
  link.ready();

  function told(message, buffers) {
    const then = {
      opened: () => opened(message, buffers),
      state: () => showState(message.state),
      begun: () => begun(message, buffers),
      delta: () => log.row(message.id)?.grow(message, true) ?? true,
      notice: () => noticed(message),
      ended: () => ended(message, buffers),
      earlier: () => log.earlier(message.turns, message.from, buffers) ?? true,
      attached: () => attached(message, buffers),
      detached: () => composer.drop(message.id),
      cells: () => cells(message.sources),
      refused: () => refused(message),
      waiting: () => composer.wait(message.waiting),
    }[message.type];
    // Whoever has missed something asks for all of it.
    if (then && then() === false) link.ready();
    log.toEnd();
  }

  function opened(message, buffers) {
    const first = state === null;
    const other = state?.open !== message.state.open;
    const anew = run !== null && run !== message.run;
    run = message.run;
    banner.hidden = true;
    root.setAttribute("aria-busy", "false");
    log.fill(message.turns, message.from, buffers);
    showState(message.state);
    composer.hold(message.attached, buffers, anew);
    // What was typed before anything came stays.
    if (other && !(first && composer.box.value)) composer.box.value = draftOf(state.open);
    if (anew && unanswered?.conversation === state.open && message.turns.at(-1)?.asked !== unanswered.text) {
      composer.box.value ||= unanswered.text;
    }
    unanswered = null;
    composer.typed();
  }

  function begun(message, buffers) {
    showState(message.state);
    composer.hold([], buffers);
    status.textContent = "An answer is coming.";
    return log.begin(message.at, message.turn, buffers);
  }

  /** The kernel has what was sent from here. */
  function taken() {
    if (composer.box.value === asked.text) composer.clear();
    keepDraft(asked.conversation, "");
    keepDraft(state.open, composer.box.value);
    asked = null;
  }

  function noticed({ id, text }) {
    const row = log.row(id);
    if (row?.notice) row.notice.textContent = text;
  }

  function ended(message, buffers) {
    showState(message.state);
    if (!message.turn) return true;
    const row = log.row(message.id);
    if (!row) return true;
    row.show(message.turn, buffers);
    const { failure, text } = message.turn;
    status.textContent = failure ? failure.problem : `Answer: ${text.slice(0, 500)}`;
    return message.total === log.total;
  }

  function attached({ id, name, failure }, buffers) {
    if (failure) {
      composer.drop(id);
      composer.trouble(`${failure.problem} ${failure.remedy}`.trim());
    } else {
      composer.put(id, name, picture(buffers[0], name));
    }
  }

  async function cells(sources) {
    const count = sources.length === 1 ? "A cell" : `${sources.length} cells`;
    if (insertCells(link.manager, root, sources)) {
      say(`${count} inserted below this one. Run, the answer is replayed.`);
    } else {
      const done = await copyText(sources.join("\n\n"));
      say(done ? `${count} copied: paste it into the notebook.` : "It could not be copied.");
    }
  }

  function refused({ of, problem, remedy }) {
    const text = `${problem} ${remedy}`.trim();
    if (of === "ready" && banner.hidden === false) return warn(text); // it is asked again
    if (of === "choose" || of === "models") settings.trouble(text);
    else composer.trouble(text);
    if (of === "ask") asked = null;
  }

  function showState(next) {
    state = next;
    const open = next.conversations.find(({ name }) => name === next.open);
    title.textContent = open?.title || "New conversation";
    title.title = title.textContent;
    facts.textContent = next.usage;
    mode.hidden = next.mode === "auto";
    mode.textContent = next.mode;
    mode.title = next.mode === "replay" ? "Only recorded answers are shown." : "Everything is asked anew.";
    modelName.textContent = next.form.model || next.model || "default model";
    settings.show(next);
    composer.run(next.running);
    empty.hidden = log.total > 0 || Boolean(next.running);
    empty.lastChild.textContent =
      next.problem || `What is said here is kept in ${next.file}. Cells do not see it, until you insert it as one.`;
    const listed = next.conversations.map(({ name, title: words, asks, cells: own }) => {
      const count = asks === 1 ? "1 message" : `${asks} messages`;
      return make(
        "li",
        {},
        make(
          "button",
          {
            type: "button",
            className: "oai-name",
            title: words || "New conversation",
            "aria-current": name === next.open ? "true" : "false",
            onclick: () => {
              toggleSide(false);
              if (name !== state.open) link.send({ type: "open", conversation: name });
            },
          },
          make("span", { className: "oai-words", dir: "auto", textContent: words || "New conversation" }),
          make("span", {
            className: "oai-count",
            textContent: next.busy.includes(name)
              ? "answering…"
              : [own ? `cells: ${name}` : name, asks ? count : "empty"].join(" · "),
          }),
        ),
      );
    });
    const focused = [...names.querySelectorAll("button")].indexOf(document.activeElement);
    names.replaceChildren(...listed);
    if (focused >= 0) names.querySelectorAll("button")[focused]?.focus();
  }

  function startNew() {
    toggleSide(false);
    link.send({ type: "new" });
    composer.box.focus();
  }

  function toggleSide(shown = !root.classList.contains("oai-listing")) {
    const was = root.classList.contains("oai-listing");
    root.classList.toggle("oai-listing", shown);
    if (was && !shown) openSide.focus();
    openSide.setAttribute("aria-expanded", String(shown));
    if (shown) side.querySelector("button").focus();
  }

  function toggleSettings() {
    settings.element.hidden = !settings.element.hidden;
    openSettings.setAttribute("aria-expanded", String(!settings.element.hidden));
    if (!settings.element.hidden) settings.fields.model.focus();
  }

  let saying = null;
  function say(text) {
    toast.textContent = text;
    toast.hidden = false;
    clearTimeout(saying);
    saying = setTimeout(() => (toast.hidden = true), 5000);
  }

  function lost() {
    if (state?.running) unanswered = { conversation: state.open, text: log.row(state.running)?.turn.asked };
    asked = null;
    composer.run(null);
    if (reviving) return;
    const again = button("retry", "Go on", async () => {
      reviving = again.disabled = true;
      warn("The panel is being brought back…");
      const failed = await link.revive(state?.open ?? "").catch(String);
      reviving = again.disabled = false;
      if (failed) warn(`It could not be brought back from here (${failed}): run the cell that shows this panel again.`);
    }, { words: true, kind: "oai-strong" });
    const can = Boolean(link.kernel?.requestExecute && link.modelId);
    banner.replaceChildren(make("span", {}), ...(can ? [again] : []));
    warn(
      can
        ? "The kernel was restarted. What was said is in the dialogue file."
        : "The kernel was restarted. What was said is in the dialogue file: run the cell that shows this panel again.",
    );
    banner.hidden = false;
  }

  function warn(text) {
    if (banner.firstChild.textContent !== text) banner.firstChild.textContent = text;
  }

  return () => {
    link.close();
    log.close();
  };
}

function draftKey(conversation) {
  return `openai_magics:draft:${location.pathname}:${conversation}`;
}

function keepDraft(conversation, text) {
  try {
    if (text) sessionStorage.setItem(draftKey(conversation), text);
    else sessionStorage.removeItem(draftKey(conversation));
  } catch {
    // A page without storage loses what is written when it is reloaded.
  }
}

function draftOf(conversation) {
  try {
    return sessionStorage.getItem(draftKey(conversation)) ?? "";
  } catch {
    return "";
  }
}

export default { render };
