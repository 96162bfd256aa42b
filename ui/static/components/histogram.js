import { html, useId, useState } from "../html.js";
import { bars, percentiles, ticks } from "../lib/histogram.js";
import { count } from "../lib/format.js";

/** @typedef {import("../types.js").Histogram} Figures */

const NOTHING = html`<p class="histogram-none faint">Nothing measured yet</p>`;

/** Of the drawing's own coordinates, which are stretched over what room there is. */
const WIDTH = 1000;
const HEIGHT = 100;

/**
 * How figures are spread. With the pointer over it, or by arrow keys when it has the focus, each bar says its range
 * and count; dashed lines mark the percentiles.
 *
 * @param {{title: string, unit: string, figures: Figures | null, format: (value: number) => string}} props
 */
export function Histogram({ title, unit, figures, format }) {
  const id = useId();
  return html`
    <figure class="histogram">
      <figcaption id=${id}>${title} <span class="faint">${unit}</span></figcaption>
      ${figures ? html`<${Plot} ...${{ id, figures, format }} />` : NOTHING}
    </figure>
  `;
}

/** @param {{id: string, figures: Figures, format: (value: number) => string}} props */
function Plot({ id, figures, format }) {
  const [active, setActive] = useState(-1);
  const all = bars(figures);
  const marks = ticks(Math.max(...figures.bins));
  const top = marks[marks.length - 1];
  const lines = percentiles(figures);
  const step = WIDTH / all.length;
  const bar = all[active];
  const middle = ((active + 0.5) / all.length) * 100;
  const says = bar ? `${range(bar, format)}: ${count(bar.count)}` : "";
  /** @param {KeyboardEvent} event */
  const pressed = (event) => {
    const last = all.length - 1;
    const to = {
      ArrowRight: Math.min(active + 1, last),
      ArrowLeft: Math.max(active < 0 ? last : active - 1, 0),
      Home: 0,
      End: last,
      Escape: -1,
    }[event.key];
    if (to === undefined || (event.key === "Escape" && active < 0)) return;
    event.preventDefault();
    setActive(to);
  };
  return html`
    <div class="histogram-plot">
      <div class="histogram-y" aria-hidden="true">
        ${marks.toReversed().map((mark) => html`<span key=${mark}>${count(mark)}</span>`)}
      </div>
      <div
        class="histogram-area"
        role="group"
        aria-labelledby=${id}
        aria-describedby=${`${id}-summary`}
        aria-roledescription="histogram"
        tabindex="0"
        onKeyDown=${pressed}
        onBlur=${() => setActive(-1)}
        onPointerLeave=${() => setActive(-1)}
      >
        <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true" focusable="false">
          ${marks.map((mark) => html`<line key=${mark} class="grid" x1="0" x2=${WIDTH} ...${level(mark / top)} />`)}
          ${all.map(({ count: its }, index) => {
            const height = (its / top) * HEIGHT;
            return html`
              <g key=${index} class=${index === active ? "bar active" : "bar"} onPointerEnter=${() => setActive(index)}>
                <rect class="reach" x=${index * step} y="0" width=${step} height=${HEIGHT} />
                <rect x=${(index + 0.06) * step} y=${HEIGHT - height} width=${step * 0.88} height=${height} />
              </g>
            `;
          })}
          ${lines.map(({ name, place }) => html`
            <line
              key=${name}
              class=${`mark ${name.slice(0, 3)}`}
              x1=${place * WIDTH}
              x2=${place * WIDTH}
              y1="0"
              y2=${HEIGHT}
            />`)}
        </svg>
        ${
          bar &&
          html`
          <span
            class="histogram-tip"
            style=${{ insetInlineStart: `${middle}%`, "--shift": `${-middle}%` }}
          >
            ${range(bar, format)} <b>${count(bar.count)}</b>
          </span>
        `
        }
      </div>
      <div class="histogram-x" aria-hidden="true">
        <span>${format(figures.min)}</span>
        <span>${figures.binSize > 0 && format(figures.max)}</span>
      </div>
    </div>
    <p class="histogram-marks" id=${`${id}-summary`}>
      ${lines.map(
        ({ name, value }) =>
          html`
            <span key=${name}>
              <i class=${`mark ${name.slice(0, 3)}`} aria-hidden="true"></i>
              <span>${name}</span>
              <b>${format(value)}</b>
            </span>
          `,
      )}
    </p>
    <p class="unseen" aria-live="polite">${says}</p>
  `;
}

/** @param {number} share */
function level(share) {
  const y = HEIGHT * (1 - share);
  return { y1: y, y2: y };
}

/** @param {import("../lib/histogram.js").Bar} bar @param {(value: number) => string} format */
function range({ from, to }, format) {
  return from === to ? format(from) : `${format(from)} to ${format(to)}`;
}
