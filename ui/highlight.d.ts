/** The part of highlight.js that we use; the package of ready-made files brings no types. */
interface HighlightJs {
  highlight(code: string, options: { language: string; ignoreIllegals?: boolean }): { value: string; language?: string };
  highlightAuto(code: string, languages?: string[]): { value: string; language?: string; relevance: number };
  getLanguage(name: string): object | undefined;
  listLanguages(): string[];
}
declare const hljs: HighlightJs;
export default hljs;
