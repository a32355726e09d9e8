// Stands in every panel made of forms: when the kernel was restarted it says so, and brings the
// panel back in each of its views.

function render({ model, el }) {
  const words = make("span");
  const again = button("retry", "Go on", goOn, { words: true, kind: "jupyter-button" });
  const banner = make("div", { className: "oai-note oai-warn oai-lost", role: "alert", hidden: true });
  el.append(banner);
  const told = ({ type }) => type === "opened" && (banner.hidden = true);
  const link = new Link(model, model.get("panel"), told, lost, back);

  function lost() {
    const can = Boolean(link.kernel?.requestExecute && link.modelId);
    words.textContent = can
      ? "The kernel was restarted. What was asked is in the dialogue file."
      : "The kernel was restarted. What was asked is in the dialogue file: run the cell that shows this panel again.";
    again.disabled = false;
    banner.replaceChildren(words, ...(can ? [again] : []));
    banner.hidden = false;
  }

  async function goOn() {
    again.disabled = true;
    const failed = await link.revive(model.get("detail")).catch(String);
    if (!failed) return;
    words.textContent = `It could not be brought back from here (${failed}): run the cell that shows this panel again.`;
    again.disabled = false;
  }

  /** Show the panel that the new kernel has in the place of this view. */
  async function back(found) {
    link.close();
    const root = el.closest(".oai-form");
    const views = await Promise.all(Object.values(before?.views ?? {}));
    const own = views.find((view) => view.el === root)?.luminoWidget;
    const place = own?.parent;
    const host = root.parentElement;
    const fresh = (await link.manager.create_view(found)).luminoWidget;
    if (place?.addWidget) {
      // Not disposed of: JupyterLab would take that for a panel that somebody has closed.
      own.parent = null;
      place.addWidget(fresh);
    } else {
      root.remove();
      fresh.constructor.attach(fresh, host);
    }
  }

  // The panel's own model, as long as it is that of the first kernel.
  let before = null;
  link.manager?.get_model?.(model.get("root")).then((held) => (before = held), () => {});

  link.ready();
  return () => link.close();
}

export default { render };
