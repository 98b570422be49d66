// The tables. Every row is made of text; lists are bounded by the server.

const NOTHING = "–";

function showRejections(rejections) {
  const total = rejections.reduce((sum, it) => sum + it.times, 0);
  setText(byId("rejections-note"), rejections.length === 0 ? "" : `${plural(total, "batch", "batches")} in ${plural(rejections.length, "row", "rows")}`);
  const key = (it) => JSON.stringify([it.topic, it.client_id, it.reason, it.outcome]);
  fillTable("rejections", rejections, key, rejectionRow);
}

function rejectionRow(it) {
  const tones = { refused: "bad", observed: "warn", unjudged: "neutral" };
  const repeats = it.times > 1
    ? make("div", { class: "quiet", title: `since ${it.first_at}` }, `${shortCount(it.times)} times since ${clock(it.first_at)}`)
    : null;
  const topic = it.topic === "" ? make("span", { class: "quiet" }, "not known") : foreign(it.topic, "code");
  const client = it.client_id === null ? make("span", { class: "quiet" }, "no client id") : foreign(it.client_id, "code");
  const schema = it.schema === null ? null : make("div", { class: "quiet" }, "schema ", foreign(it.schema, "code"));
  return make("tr", {},
    make("td", { class: "when" }, timeElement(it.at), repeats),
    make("th", { scope: "row", class: "name" }, topic, make("div", { class: "quiet" }, `partition ${it.partition}`)),
    make("td", { class: "name" }, client, make("div", { class: "quiet" }, foreign(it.peer))),
    make("td", {}, badge(tones[it.outcome] ?? "neutral", it.reason), make("div", { class: "quiet" }, it.outcome)),
    make("td", { class: "message" }, foreign(withoutReason(it)), schema));
}

/** The message begins with the reason, which stands beside it. */
function withoutReason({ message, reason }) {
  return message.startsWith(`${reason}: `) ? message.slice(reason.length + 2) : message;
}

function showTopics(topics, filter) {
  const { total, matching, items } = topics;
  const of = filter === "" ? plural(total, "topic", "topics") : `${count(matching)} of ${plural(total, "topic", "topics")}`;
  setText(byId("topics-note"), items.length < matching ? `${of}; the first ${count(items.length)} are shown` : of);
  const empty = filter === "" ? "Nobody has produced anything yet." : "No topic has that in its name.";
  fillTable("topics", items, (it) => it.topic, topicRow, empty);
}

function topicRow(it) {
  const cell = (number, tone) =>
    make("td", { class: number > 0 ? `number ${tone}` : "number zero" }, count(number));
  const reasons = Object.entries(it.reasons).sort(([, one], [, other]) => other - one);
  const words = reasons.map(([reason, number]) => make("li", {}, `${reason} `, make("b", {}, count(number))));
  if (it.unjudged > 0) words.push(make("li", {}, "not judged ", make("b", {}, count(it.unjudged))));
  if (it.unread_batches > 0) words.push(make("li", {}, "off, batches not read ", make("b", {}, count(it.unread_batches))));
  return make("tr", {},
    make("th", { scope: "row", class: "name" }, foreign(it.topic, "code")),
    cell(it.accepted, "good"), cell(it.observed, "warn"), cell(it.rejected, "bad"), cell(it.withheld, ""),
    make("td", {}, words.length === 0 ? NOTHING : make("ul", { class: "inline" }, words)));
}

function showRegistries(registries, now) {
  const items = registries.map((it) => ({
    ...it,
    answered: it.last_success === null ? "never" : ago(secondsSince(it.last_success, now)),
    failed: it.last_error === null ? null : ago(secondsSince(it.last_error.at, now)),
  }));
  fillTable("registries", items, (it) => it.url, registryRow);
}

function registryRow(it) {
  const wait = it.left_in_peace_seconds > 0 ? `asked again in ${duration(it.left_in_peace_seconds)}` : "asked again now";
  const more = it.circuit === "open" ? wait : it.failures > 0 ? plural(it.failures, "failure in a row", "failures in a row") : null;
  const error = it.last_error === null ? null : make("div", { class: "fault" },
    make("span", { class: "quiet" }, "last error ", timeElement(it.last_error.at, it.failed), ": "), foreign(it.last_error.message));
  return make("tr", {},
    make("th", { scope: "row", class: "name" }, foreign(it.url, "code"), make("div", { class: "quiet" }, it.api ?? "allowed origin")),
    make("td", {}, badge(it.circuit === "open" ? "bad" : "good", it.circuit), more && make("div", { class: "quiet" }, more)),
    make("td", { class: "message" }, it.last_success === null ? it.answered : timeElement(it.last_success, it.answered), error));
}

function showBrokers(brokers, outside) {
  const hidden = outside.map((node) => ({ node_id: node, address: null, local_port: null, advertised: null }));
  fillTable("brokers", [...brokers, ...hidden], (it) => String(it.node_id), brokerRow);
}

function brokerRow(it) {
  const told = it.advertised === null
    ? [badge("warn", "hidden"), make("div", { class: "quiet" }, "outside of listen.broker_ports")]
    : foreign(it.advertised, "code");
  return make("tr", {},
    make("th", { scope: "row", class: "number" }, String(it.node_id)),
    make("td", { class: "name" }, it.address === null ? NOTHING : foreign(it.address, "code")),
    make("td", { class: "number" }, it.local_port === null ? NOTHING : String(it.local_port)),
    make("td", { class: "told" }, told));
}

function showSchemas({ total, items }) {
  const there = items.filter((it) => it.format !== null).length;
  const rest = there < total ? `; ${count(there)} are shown` : "";
  setText(byId("schemas-note"), items.length === 0 ? "" : plural(total, "schema", "schemas") + rest);
  const shown = items.map(({ age_seconds: age, ...it }) => ({ ...it, age: duration(age).split(" ")[0] }));
  fillTable("schemas", shown, (it) => `${it.source} ${it.reference}`, schemaRow);
}

function schemaRow(it) {
  // One that is out of date is asked for again when it is used next: that is no trouble.
  const tones = { fresh: "good", immutable: "good", stale: "neutral" };
  return make("tr", {},
    make("th", { scope: "row", class: "name" }, foreign(it.reference, "code")),
    make("td", {}, badge(tones[it.state] ?? "bad", it.state.replaceAll("_", " "))),
    make("td", {}, it.format ?? NOTHING),
    make("td", { class: "number" }, it.age),
    make("td", {}, foreign(it.source, "code")));
}

function showRules(rules) {
  const items = rules.map((rule, index) => ({ rule, number: index + 1, last: index === rules.length - 1 }));
  fillTable("rules", items, (it) => String(it.number), ruleRow);
}

function ruleRow({ rule: { topics, mode, ...others }, number, last }) {
  const tones = { enforce: "good", observe: "warn", off: "neutral" };
  const names = last && !topics?.length
    ? "all others"
    : (topics ?? []).flatMap((topic, index) => [index > 0 ? ", " : null, foreign(topic, "code")]);
  return make("tr", {},
    make("th", { scope: "row", class: "number" }, last ? "default" : String(number)),
    make("td", {}, names),
    make("td", {}, badge(tones[mode] ?? "neutral", String(mode))),
    make("td", {}, make("ul", { class: "inline" }, settings(others, ""))));
}

/** Everything else that a rule says, each with the path of its key; what says nothing is left out. */
function settings(tree, prefix) {
  return Object.entries(tree).flatMap(([key, value]) => {
    if (value === null || (Array.isArray(value) && value.length === 0)) return [];
    if (!Array.isArray(value) && typeof value === "object") return settings(value, `${prefix}${key}.`);
    const words = Array.isArray(value) ? value.map((it) => (typeof it === "object" ? JSON.stringify(it) : String(it))).join(", ") : String(value);
    return [make("li", {}, `${prefix}${key} `, foreign(words, "code"))];
  });
}

/** How the configuration was read again last, if it was. */
const reloadOf = ({ reload }) => (reload?.outcome ? reload : null);

function showReload(reload) {
  byId("reload").hidden = reload === null;
  if (reload === null) return;
  reconcile(byId("reload-body"), [reload], () => "reload", (it) => {
    const list = (title, lines) => (lines?.length
      ? make("div", {}, make("h3", {}, title), make("ul", { class: "lines" }, lines.map((line) => make("li", {}, foreign(String(line))))))
      : null);
    const at = it.at ?? (it.unix_seconds ? new Date(it.unix_seconds * 1000).toISOString() : null);
    const asked = it.asked_by ? make("span", { class: "quiet" }, ` asked for by ${it.asked_by}`) : null;
    return make("div", {},
      make("p", {}, badge(it.outcome === "failed" ? "bad" : "good", String(it.outcome)), " ", at && timeElement(at), asked),
      list("Mistakes in the file: what was in force before still is", it.mistakes),
      list("In force since", it.changed),
      list("Keeps its old value until a restart", it.needs_restart));
  });
}
