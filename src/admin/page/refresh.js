// Asks for the status, again and again, unless told to pause or nobody looks; says plainly when no answer comes.

const INTERVAL_MS = 2000;
const PATIENCE_MS = 5000;

const view = {
  token: null,
  paused: false,
  filter: "",
  /** What was answered last, and when by the browser's own clock. */
  status: null,
  answeredAt: null,
  /** Why there is no newer answer. */
  trouble: null,
  /** The version that this page was first told about: it is of that one. */
  version: null,
};

let timer = null;
let request = null;

class Unwelcome extends Error {}

async function ask() {
  const url = view.filter === "" ? "status" : `status?topic=${encodeURIComponent(view.filter)}`;
  const headers = view.token === null ? {} : { Authorization: `Bearer ${view.token}` };
  request?.abort();
  request = new AbortController();
  const late = setTimeout(() => request.abort(new Error(`no answer within ${PATIENCE_MS / 1000} seconds`)), PATIENCE_MS);
  const { signal } = request;
  try {
    const answer = await fetch(url, { headers, signal, cache: "no-store", credentials: "omit", redirect: "error" });
    if (answer.status === 401) throw new Unwelcome();
    if (!answer.ok) throw new Error(`it answered ${answer.status}: ${(await answer.text()).trim().slice(0, 200)}`);
    return await answer.json();
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw error instanceof TypeError ? new Error("it cannot be reached") : error;
  } finally {
    clearTimeout(late);
  }
}

async function refresh() {
  clearTimeout(timer);
  timer = null;
  try {
    const status = await ask();
    view.trouble = null;
    accept(status);
  } catch (error) {
    // Another request has taken the place of this one.
    if (error?.name === "AbortError") return;
    if (error instanceof Unwelcome) return lock();
    view.trouble = error.message;
  }
  showState();
  schedule();
}

function schedule() {
  clearTimeout(timer);
  timer = view.paused || document.hidden ? null : setTimeout(refresh, INTERVAL_MS);
}

function accept(status) {
  if (typeof status?.version !== "string") throw new Error("what answers there is not schemaward");
  view.status = status;
  view.answeredAt = Date.now();
  view.version ??= status.version;
  showWho(true);
  showIdentity(status);
  showTiles(status);
  showRejections(status.rejections);
  showTopics(status.topics, view.filter);
  showRegistries(status.registries, status.now);
  showBrokers(status.brokers, status.nodes_outside_map);
  showSchemas(status.schemas);
  showRules(status.rules);
  showReload(reloadOf(status));
}

/** What the page says about itself: live, paused, or of the past. */
function showState() {
  const stale = view.trouble !== null;
  const since = view.answeredAt === null ? null : clock(view.answeredAt);
  const notices = view.status === null ? [] : noticesOf(view.status);
  if (view.status !== null && view.status.version !== view.version) {
    notices.unshift({ tone: "warn", text: "schemaward runs in another version now: reload this page." });
  }
  if (stale) {
    const what = since === null ? "" : ` What is shown is of ${since}.`;
    notices.unshift({ tone: "bad", text: `No answer from schemaward: ${view.trouble}.${what}` });
  }
  showNotices(notices);
  setAttribute(document.body, "data-stale", stale || null);
  byId("controls").hidden = view.status === null && !stale;
  const mode = stale ? "stale" : view.paused ? "paused" : "live";
  const words = {
    stale: since === null ? "no answer" : `of ${since}, no answer since`,
    paused: `paused, of ${since}`,
    live: `live, ${since}`,
  };
  const freshness = byId("freshness");
  setText(freshness, words[mode]);
  setAttribute(freshness, "class", `freshness ${mode}`);
  if (stale) document.title = "No answer – schemaward";
}

function showWho(known) {
  byId("login").hidden = known;
  for (const id of ["content", "identity", "sections", "controls", "footer"]) byId(id).hidden = !known;
  // What the browser asks for by itself goes without the token.
  byId("links").hidden = view.token !== null;
}

/** Takes everything off the page and asks for the token. */
function lock() {
  const refused = view.token !== null;
  Object.assign(view, { token: null, status: null, answeredAt: null, trouble: null, version: null });
  clearTimeout(timer);
  document.title = "schemaward";
  showWho(false);
  showNotices([]);
  setAttribute(document.body, "data-stale", null);
  for (const rows of document.querySelectorAll("tbody, #tiles, #reload-body")) rows.replaceChildren();
  setText(byId("token-error"), refused ? "This token is not accepted." : "");
  byId("token").focus();
}

byId("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = byId("token");
  const token = field.value.trim();
  // What is no token cannot stand in a header.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    setText(byId("token-error"), "A token is one word of letters, digits and signs.");
    return;
  }
  view.token = token;
  field.value = "";
  setText(byId("token-error"), "");
  refresh();
});

byId("pause").addEventListener("click", () => {
  view.paused = !view.paused;
  const button = byId("pause");
  setAttribute(button, "aria-pressed", String(view.paused));
  if (view.paused) {
    request?.abort();
    clearTimeout(timer);
    showState();
  } else {
    refresh();
  }
});

byId("topic-filter").addEventListener("input", (event) => {
  view.filter = event.target.value.trim();
  refresh();
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(timer);
  } else if (!view.paused && byId("login").hidden) {
    refresh();
  }
});

refresh();
