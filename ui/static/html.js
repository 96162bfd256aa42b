/**
 * The one door to Preact, htm and the signals: every other file of the page imports them from here.
 *
 * `html` is htm bound to Preact's `h`, so a component is a function of its props that returns html`…`.
 * Importing `vendor/signals.js` here is also what makes a component follow each signal it reads.
 */
import { Component, createContext, Fragment, h, render } from "./vendor/preact.js";
import {
  useCallback, useContext, useEffect, useErrorBoundary, useId, useLayoutEffect, useMemo, useReducer, useRef, useState,
} from "./vendor/hooks.js";
import {
  batch, computed, effect, signal, untracked, useComputed, useSignal, useSignalEffect,
} from "./vendor/signals.js";
import htm from "./vendor/htm.js";

/** @typedef {import("./vendor/preact.js").ComponentChildren} Children  what may stand between two tags */
/** @typedef {import("./vendor/preact.js").VNode} Node */
/**
 * @template T
 * @typedef {import("./vendor/signals.js").Signal<T>} Signal
 */
/**
 * @template T
 * @typedef {import("./vendor/signals.js").ReadonlySignal<T>} ReadonlySignal
 */

/** @type {(strings: TemplateStringsArray, ...values: any[]) => Node} */
const html = /** @type {any} */ (htm.bind(/** @type {any} */ (h)));

export {
  batch, Component, computed, createContext, effect, Fragment, h, html, render, signal, untracked, useCallback,
  useComputed, useContext, useEffect, useErrorBoundary, useId, useLayoutEffect, useMemo, useReducer, useRef, useSignal,
  useSignalEffect, useState,
};
