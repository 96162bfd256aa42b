/** Which of the eight chart colours stands for a model: the same in the queue, in the lanes and in memory. */

const COLOURS = 8;

/**
 * @param {readonly string[]} names all of them, repeated or not
 * @param {string} name
 * @returns {number} from 1; 0: it is none of them
 */
export function hueOf(names, name) {
  const place = [...new Set(names)].indexOf(name);
  return place < 0 ? 0 : (place % COLOURS) + 1;
}
