// How the open conversation asks: model, parameters, system instruction.

const EFFORTS = ["", "none", "minimal", "low", "medium", "high", "xhigh", "max"];

class Settings {
  constructor(act) {
    this.act = act;
    const list = identity("models");
    this.models = make("datalist", { id: list });
    const change = () => this.act.choose(this.value());
    const typed = (more) => make("input", { type: "text", spellcheck: false, autocomplete: "off", onchange: change, ...more });
    this.fields = {
      model: typed({ placeholder: "as set for the notebook" }),
      temperature: typed({ inputMode: "decimal", placeholder: "not sent" }),
      max_tokens: typed({ inputMode: "numeric", placeholder: "not sent" }),
      effort: make(
        "select",
        { onchange: change },
        ...EFFORTS.map((value) => make("option", { value, textContent: value || "not sent" })),
      ),
      system: make("textarea", { rows: 2, dir: "auto", onchange: change, placeholder: "as set for the notebook" }),
      more: typed({ placeholder: '{"seed": 7}' }),
    };
    this.fields.model.setAttribute("list", list);
    const named = (name, label, kind = "") => {
      const field = this.fields[name];
      field.id = identity(name);
      return make(
        "div",
        { className: `oai-field ${kind}` },
        make("label", { htmlFor: field.id, textContent: label }),
        field,
      );
    };
    this.problem = make("div", { className: "oai-trouble", role: "alert", hidden: true });
    const model = named("model", "Model", "oai-wide");
    model.append(
      make("button", {
        type: "button",
        className: "oai-link",
        textContent: "List the endpoint's models",
        onclick: () => this.act.models(),
      }),
    );
    this.element = make(
      "form",
      { className: "oai-settings", "aria-label": "How this conversation asks", hidden: true, onsubmit: (event) => event.preventDefault() },
      model,
      this.models,
      named("temperature", "Temperature"),
      named("max_tokens", "Max tokens"),
      named("effort", "Effort"),
      named("system", "System instruction", "oai-wide"),
      named("more", "Other parameters (JSON)", "oai-wide"),
      this.problem,
    );
  }

  value() {
    return Object.fromEntries(Object.entries(this.fields).map(([name, field]) => [name, field.value]));
  }

  show({ form, models, model }) {
    for (const [name, field] of Object.entries(this.fields)) {
      if (field !== document.activeElement && field.value !== form[name]) field.value = form[name];
    }
    this.fields.model.placeholder = model || "as set for the notebook";
    if (models.length !== this.models.children.length) {
      this.models.replaceChildren(...models.map((value) => make("option", { value })));
    }
    this.trouble("");
  }

  trouble(text) {
    this.problem.textContent = text;
    this.problem.hidden = !text;
  }
}
