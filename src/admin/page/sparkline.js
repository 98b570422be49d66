// A line of the latest minutes. The server keeps them, so that a page which has just been opened has a past.

const SPARK_WIDTH = 300;
const SPARK_HEIGHT = 40;
/** As many values as the server keeps: with fewer, the line begins further right. */
const SPARK_VALUES = 150;

/** An empty one. */
function makeSparkline() {
  const line = () => makeSvg("path", { "vector-effect": "non-scaling-stroke" });
  return makeSvg(
    "svg",
    {
      class: "spark",
      viewBox: `0 0 ${SPARK_WIDTH} ${SPARK_HEIGHT}`,
      preserveAspectRatio: "none",
      role: "img",
      focusable: "false",
    },
    filled(makeSvg("path"), { class: "spark-area" }, []),
    filled(line(), { class: "spark-second" }, []),
    filled(line(), { class: "spark-line" }, []),
  );
}

/** Draws one series, or two on one scale. `name` and `unit` are for those who do not see it. */
function drawSparkline(svg, { values, second, seconds, name, show }) {
  const top = Math.max(1, ...values, ...(second ?? []));
  const points = (series) => series.map((value, index) => {
    const x = SPARK_WIDTH - (series.length - 1 - index) * (SPARK_WIDTH / (SPARK_VALUES - 1));
    const y = SPARK_HEIGHT - 2 - (value / top) * (SPARK_HEIGHT - 5);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  const path = (series) => (series.length === 0 ? "" : `M${points(series).join("L")}`);
  const [area, other, line] = svg.children;
  const start = values.length === 0 ? 0 : points(values)[0].split(" ")[0];
  setAttribute(line, "d", path(values));
  setAttribute(area, "d", values.length === 0 ? "" : `${path(values)}V${SPARK_HEIGHT}H${start}Z`);
  setAttribute(other, "d", path(second ?? []));
  setAttribute(svg, "aria-label", sparkWords(name, values, seconds, show));
}

function sparkWords(name, values, seconds, show) {
  if (values.length === 0) return `${name}: no history yet`;
  const now = show(values[values.length - 1]);
  const [low, high] = [show(Math.min(...values)), show(Math.max(...values))];
  const span = duration(values.length * seconds);
  return `${name} in the last ${span}: now ${now}, lowest ${low}, highest ${high}`;
}
