// Numbers, times and sizes as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const oneDecimal = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** A count in full. */
const count = (number) => whole.format(number);

/** A count that fits a narrow place. */
const shortCount = (number) => (number < 100000 ? whole.format(number) : short.format(number));

/** A rate: small ones with a decimal. */
const rate = (number) => (number < 10 ? oneDecimal.format(number) : shortCount(number));

function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (number >= 1024 && unit < units.length - 1) {
    number /= 1024;
    unit += 1;
  }
  return `${number < 10 && unit > 0 ? oneDecimal.format(number) : whole.format(number)}\u00a0${units[unit]}`;
}

/** A length of time in its two largest units. */
function duration(seconds) {
  const total = Math.max(0, Math.floor(seconds));
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const at = units.findIndex(([, size]) => total >= size);
  if (at < 0) return "0\u00a0s";
  const [name, size] = units[at];
  const main = `${Math.floor(total / size)}\u00a0${name}`;
  const next = units[at + 1];
  const rest = next === undefined ? 0 : Math.floor((total % size) / next[1]);
  return rest > 0 ? `${main} ${rest}\u00a0${next[0]}` : main;
}

/** One unit is enough for what is past. */
const ago = (seconds) => (seconds < 1 ? "just now" : `${duration(seconds).split(" ")[0]} ago`);

/** A time of the day where the reader is. What is of another day has the day too. */
function clock(at) {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return String(at);
  const today = time.toDateString() === new Date().toDateString();
  const hours = time.toLocaleTimeString("en-GB");
  return today ? hours : `${time.toLocaleDateString("en-CA")} ${hours}`;
}

/** A time as an element that also tells it in full. */
function timeElement(at, text) {
  return make("time", { datetime: at, title: at }, text ?? clock(at));
}

/** Seconds from `at` to the server's own now: clocks of browser and server need not agree. */
const secondsSince = (at, now) => (Date.parse(now) - Date.parse(at)) / 1000;

const plural = (number, one, many) => `${count(number)} ${number === 1 ? one : many}`;

/** A word in a frame. Its colour only repeats what it says. */
const badge = (tone, text) => make("span", { class: `badge ${tone}` }, text);
