import { html } from "../html.js";
import { IconButton } from "./button.js";

const SHOWN = 7;

/**
 * Seven neighbouring page numbers around *page*, fewer if there are fewer.
 *
 * @param {number} page
 * @param {number} pages
 */
const around = (page, pages) => {
  const length = Math.min(SHOWN, pages);
  const start = Math.max(1, Math.min(page - Math.floor(SHOWN / 2), pages - length + 1));
  return Array.from({ length }, (_, index) => start + index);
};

/**
 * Pages count from 1.
 *
 * @param {{ page: number, pages: number, onPage: (page: number) => void, label?: string }} props
 */
export function Pager({ page, pages, onPage, label = "Pages of the table" }) {
  if (pages <= 1) return null;
  const back = page <= 1;
  const forth = page >= pages;
  return html`
    <nav class="pager" aria-label=${label}>
      <${IconButton} icon="first" label="First page" disabled=${back} onClick=${() => onPage(1)} />
      <${IconButton} icon="chevron-left" label="Previous page" disabled=${back} onClick=${() => onPage(page - 1)} />
      ${around(page, pages).map(
        (number) => html`
          <button
            key=${number}
            type="button"
            class="page-number"
            aria-label=${`Page ${number}`}
            aria-current=${number === page ? "page" : undefined}
            onClick=${() => onPage(number)}
          >
            ${number}
          </button>
        `,
      )}
      <span class="page-of">${page} / ${pages}</span>
      <${IconButton} icon="chevron-right" label="Next page" disabled=${forth} onClick=${() => onPage(page + 1)} />
      <${IconButton} icon="last" label="Last page" disabled=${forth} onClick=${() => onPage(pages)} />
    </nav>
  `;
}
