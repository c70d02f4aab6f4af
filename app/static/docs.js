// Shows /openapi.json and lets each route be tried. Everything that comes from the service is put
// into the page as text, never as markup: names in it can be a client's.

const title = document.getElementById("title");
const contents = document.getElementById("contents");
const routes = document.getElementById("routes");

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// A description's words, with what stands between backticks as code.
function prose(text) {
  return text.split("`").map((part, index) =>
    index % 2 ? element("code", { textContent: part }) : part);
}

function resolve(document_, schema) {
  if (!schema || !schema.$ref) return schema || {};
  return schema.$ref.split("/").slice(1).reduce((found, key) => found[key], document_);
}

function typeOf(document_, schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf || schema.oneOf) {
    return (schema.anyOf || schema.oneOf).map((one) => typeOf(document_, one)).join(" or ");
  }
  if (schema.type === "array") return `list of ${typeOf(document_, schema.items || {})}`;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const values = schema.additionalProperties;
  if (values && values !== true && !schema.properties) {
    return `object of ${typeOf(document_, values)}`;
  }
  const name = [].concat(schema.type || "any").join(" or ");
  return schema.format === "binary" ? "file" : name;
}

// The schema with a name that a field's type is made of, if there is one.
function namedIn(schema) {
  if (!schema || schema.$ref) return schema;
  return [schema.items, schema.additionalProperties, ...(schema.anyOf || [])]
    .map(namedIn).find((one) => one && one.$ref);
}

// The type of a field, leading to its schema where it has one of its own.
function typeView(document_, schema, suffix) {
  const named = namedIn(schema);
  const text = typeOf(document_, schema) + suffix;
  if (!named) return element("td", { textContent: text });
  const name = typeOf(document_, named);
  return element("td", {}, element("a", { href: `#schema-${name}`, textContent: text }));
}

function constraints(schema) {
  const plain = (schema.anyOf || [schema]).find((one) => one.type !== "null") || schema;
  const words = [];
  if (schema.default !== undefined && schema.default !== null) {
    words.push(`default ${JSON.stringify(schema.default)}`);
  }
  if (plain.minimum !== undefined) words.push(`from ${plain.minimum}`);
  if (plain.maximum !== undefined) words.push(`to ${plain.maximum}`);
  const choices = schema.enum || plain.enum;
  if (choices) words.push(`one of ${choices.join(", ")}`);
  return words.join("; ");
}

function fieldTable(document_, schema) {
  const table = element("table");
  for (const [name, field] of Object.entries(schema.properties || {})) {
    const required = (schema.required || []).includes(name);
    const notes = [field.description, constraints(field)].filter(Boolean).join(" ");
    table.append(element("tr", {},
      element("td", { textContent: name }),
      typeView(document_, field, required ? ", required" : ""),
      element("td", {}, ...prose(notes))));
  }
  return table;
}

function schemaView(document_, schema) {
  const found = resolve(document_, schema);
  const view = element("div");
  if (found.description) view.append(element("p", {}, ...prose(found.description)));
  for (const one of found.oneOf || found.anyOf || [found]) {
    const alternative = resolve(document_, one);
    if (alternative.properties) view.append(fieldTable(document_, alternative));
  }
  return view;
}

function parameterTable(document_, parameters) {
  const table = element("table");
  for (const parameter of parameters) {
    const notes = [parameter.description, constraints(parameter.schema)].filter(Boolean).join(" ");
    table.append(element("tr", {},
      element("td", { textContent: parameter.name }),
      element("td", { textContent: `${parameter.in}${parameter.required ? ", required" : ""}` }),
      element("td", {}, ...prose(notes))));
  }
  return table;
}

function bodyView(document_, body) {
  const view = element("div");
  for (const [type, media] of Object.entries(body.content)) {
    view.append(element("p", {}, element("code", { textContent: type })));
    view.append(schemaView(document_, media.schema));
    for (const [name, example] of Object.entries(media.examples || {})) {
      view.append(
        element("p", { className: "about", textContent: example.summary || name }),
        element("pre", { textContent: JSON.stringify(example.value, null, 2) }));
    }
  }
  return view;
}

function responseView(document_, responses) {
  const table = element("table");
  for (const [status, response] of Object.entries(responses)) {
    const types = Object.entries(response.content || {}).map(([type, media]) =>
      namedIn(media.schema) ? `${type} (${typeOf(document_, media.schema)})` : type);
    table.append(element("tr", {},
      element("td", { textContent: status }),
      element("td", { textContent: response.description }),
      element("td", { textContent: types.join(", ") })));
  }
  return table;
}

// The form -------------------------------------------------------------------------------------

function input(name, control) {
  return element("label", {}, element("span", { textContent: name }), control);
}

function bodyForm(document_, body) {
  const types = Object.keys(body.content);
  const select = element("select");
  for (const type of types) select.append(element("option", { value: type, textContent: type }));
  const place = element("div");
  let read = () => undefined;
  const show = () => {
    const type = select.value;
    const media = body.content[type];
    place.replaceChildren();
    if (type === "application/json") {
      const examples = Object.values(media.examples || {});
      const text = element("textarea", { spellcheck: false });
      text.value = examples.length ? JSON.stringify(examples[0].value, null, 2) : "";
      for (const example of examples) {
        const button = element("button", { type: "button", textContent: example.summary });
        button.addEventListener("click", () => {
          text.value = JSON.stringify(example.value, null, 2);
        });
        place.append(button);
      }
      place.append(text);
      read = () => text.value;
    } else if (type === "multipart/form-data") {
      const schema = resolve(document_, media.schema);
      const controls = Object.entries(schema.properties).map(([name, field]) => {
        const isFile = (field.items || field).format === "binary";
        const control = isFile
          ? element("input", { type: "file", multiple: true })
          : element("textarea", { value: field.example || "", spellcheck: false });
        place.append(input(name, control));
        return [name, control];
      });
      read = () => {
        const form = new FormData();
        for (const [name, control] of controls) {
          if (control.type !== "file") form.append(name, control.value);
          else for (const file of control.files) form.append(name, file);
        }
        return form;
      };
    } else {
      const file = element("input", { type: "file" });
      place.append(input("file", file));
      read = () => file.files[0];
    }
  };
  select.addEventListener("change", show);
  show();
  return { view: element("div", {}, input("Content-Type", select), place),
    type: () => select.value, read: () => read() };
}

async function showAnswer(place, response, milliseconds) {
  const type = response.headers.get("content-type") || "";
  const wanted = ["location", "etag", "content-range", "retry-after", "server-timing", "x-request-id"];
  const headers = [["content-type", type], ...wanted.map((name) => [name, response.headers.get(name)])]
    .filter(([, value]) => value).map(([name, value]) => `${name}: ${value}`).join("\n");
  place.replaceChildren(
    element("p", { className: response.ok ? "" : "failed",
      textContent: `${response.status} ${response.statusText} in ${milliseconds} ms` }),
    element("pre", { textContent: headers }));
  if (type.includes("json")) {
    const text = await response.text();
    let shown = text;
    if (text.length < 2_000_000) shown = JSON.stringify(JSON.parse(text), null, 2);
    place.append(element("pre", { textContent: shown.slice(0, 200_000) }));
  } else if (type.startsWith("text/")) {
    place.append(element("pre", { textContent: (await response.text()).slice(0, 200_000) }));
  } else {
    const blob = await response.blob();
    const disposition = response.headers.get("content-disposition") || "";
    const name = (disposition.match(/filename="([^"]*)"/) || [null, "answer"])[1];
    place.append(element("p", {}, element("a", {
      href: URL.createObjectURL(blob), download: name,
      textContent: `Save ${name} (${blob.size} bytes)` })));
  }
}

function tryForm(document_, path, method, operation) {
  const form = element("form");
  const controls = (operation.parameters || []).map((parameter) => {
    const control = element("input", { type: "text", required: Boolean(parameter.required) });
    form.append(input(parameter.name, control));
    return [parameter, control];
  });
  const body = operation.requestBody ? bodyForm(document_, operation.requestBody) : null;
  if (body) form.append(body.view);
  const answer = element("div");
  form.append(element("button", { textContent: "Send" }), answer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let url = path;
    const query = new URLSearchParams();
    for (const [parameter, control] of controls) {
      if (parameter.in === "path") {
        url = url.replace(`{${parameter.name}}`, encodeURIComponent(control.value));
      } else if (control.value !== "") query.set(parameter.name, control.value);
    }
    const options = { method: method.toUpperCase() };
    if (body) {
      options.body = body.read();
      // The browser itself writes the boundary of a form into its type.
      if (body.type() !== "multipart/form-data") options.headers = { "Content-Type": body.type() };
    }
    answer.replaceChildren(element("p", { textContent: "Waiting for the answer …" }));
    const started = performance.now();
    try {
      const response = await fetch(query.size ? `${url}?${query}` : url, options);
      await showAnswer(answer, response, Math.round(performance.now() - started));
    } catch (error) {
      answer.replaceChildren(element("p", { className: "failed", textContent: String(error) }));
    }
  });
  return form;
}

// The page -------------------------------------------------------------------------------------

function routeView(document_, path, method, operation) {
  const id = `${method}-${path}`;
  const view = element("div");
  if (operation.description) view.append(element("p", {}, ...prose(operation.description)));
  if (operation.parameters) {
    view.append(element("h3", { textContent: "Parameters" }),
      parameterTable(document_, operation.parameters));
  }
  if (operation.requestBody) {
    view.append(element("h3", { textContent: "Body" }), bodyView(document_, operation.requestBody));
  }
  view.append(element("h3", { textContent: "Answers" }), responseView(document_, operation.responses));
  view.append(element("h3", { textContent: "Try it" }), tryForm(document_, path, method, operation));
  contents.append(element("a", { href: `#${id}`, textContent: `${method.toUpperCase()} ${path}` }));
  return element("details", { className: "route", id },
    element("summary", {},
      element("span", { className: "method", textContent: method.toUpperCase() }),
      element("span", { className: "path", textContent: path }),
      element("span", { className: "about", textContent: operation.summary || "" })),
    view);
}

function section(name, ...children) {
  contents.append(element("strong", { textContent: name }));
  routes.append(element("h2", { textContent: name }), ...children);
}

function showDocument(document_) {
  title.textContent = document_.info.title;
  document.getElementById("description").textContent = document_.info.description;
  routes.replaceChildren();
  const byTag = new Map();
  for (const [path, operations] of Object.entries(document_.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const tag = (operation.tags || ["other"])[0];
      if (!byTag.has(tag)) byTag.set(tag, []);
      byTag.get(tag).push([path, method, operation]);
    }
  }
  for (const [tag, found] of byTag) {
    section(tag);
    for (const [path, method, operation] of found) {
      routes.append(routeView(document_, path, method, operation));
    }
  }
  section("problems", element("p", {
    textContent: "Every refusal is application/problem+json; its type leads to a line of this list." }));
  const table = element("table");
  for (const problem of document_["x-problems"]) {
    const id = problem.type.split("#")[1];
    table.append(element("tr", { id },
      element("td", { textContent: id.replace("problem-", "") }),
      element("td", { textContent: String(problem.status) }),
      element("td", { textContent: problem.title })));
  }
  routes.append(table);
  const schemas = Object.entries(document_.components.schemas).filter(
    ([, schema]) => schema.properties || schema.oneOf || schema.anyOf);
  section("schemas", ...schemas.map(([name, schema]) =>
    element("div", { id: `schema-${name}` }, element("h3", { textContent: name }),
      schemaView(document_, schema))));
}

function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.tagName === "DETAILS") target.open = true;
  target.scrollIntoView();
}

try {
  const response = await fetch("/openapi.json");
  showDocument(await response.json());
  window.addEventListener("hashchange", openTarget);
  openTarget();
} catch (error) {
  routes.replaceChildren(element("p", { className: "failed", textContent: String(error) }));
}
