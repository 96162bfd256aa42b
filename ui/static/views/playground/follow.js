/** Staying at the end of something that grows, until the reader scrolls up. */

import { useEffect, useLayoutEffect, useRef, useState } from "../../html.js";

/** This close to the end counts as being there. */
const SLACK_PX = 60;

/**
 * Scrolls the page, or whatever scrolls around *place*, to its end whenever what is in *place* grows.
 *
 * @param {{ current: HTMLElement | null }} place
 * @param {unknown} subject a new one begins at its end
 * @returns {{ isFollowing: boolean, follow: () => void }}
 */
export function useFollow(place, subject) {
  const [isFollowing, setFollowing] = useState(true);
  const state = useRef({ isFollowing: true, height: 0 });
  const set = (/** @type {boolean} */ value) => {
    state.current.isFollowing = value;
    setFollowing(value);
  };
  useLayoutEffect(() => {
    set(true);
    toEnd(scrollerOf(place.current));
  }, [subject]);
  useEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    const scroller = scrollerOf(element);
    const target = scroller === document.scrollingElement ? window : scroller;
    let lastTop = scroller.scrollTop;
    const scrolled = () => {
      const top = scroller.scrollTop;
      // Only a reader scrolls up; what grows moves the end away without that.
      const isUp = top < lastTop - 2;
      lastTop = top;
      // Who follows and has not scrolled up goes on following: most often it is we who have scrolled.
      if (isUp !== state.current.isFollowing) return;
      const isAtEnd = scroller.scrollHeight - top - scroller.clientHeight < SLACK_PX;
      if (isAtEnd) set(true);
      else if (isUp) set(false);
    };
    const grown = new ResizeObserver(() => {
      if (state.current.isFollowing) toEnd(scroller);
    });
    grown.observe(element);
    target.addEventListener("scroll", scrolled, { passive: true });
    return () => {
      grown.disconnect();
      target.removeEventListener("scroll", scrolled);
    };
  }, []);
  const follow = () => {
    set(true);
    toEnd(scrollerOf(place.current));
  };
  return { isFollowing, follow };
}

/** @param {Element} scroller */
function toEnd(scroller) {
  scroller.scrollTop = scroller.scrollHeight;
}

/**
 * @param {Element | null} element
 * @returns {Element}
 */
function scrollerOf(element) {
  for (let each = element?.parentElement; each && each !== document.body; each = each.parentElement) {
    if (/auto|scroll/.test(getComputedStyle(each).overflowY)) return each;
  }
  return /** @type {Element} */ (document.scrollingElement);
}
