/**
 * The place of a service of collateral as somebody gave it, without slashes at its end. Null for what is
 * no https URL, and for one with a user or password, which `fetch` refuses and messages would show, or
 * with a query or fragment, behind which no path can stand.
 */
export function serviceUrl(text: string): string | null {
  const url = URL.parse(text);
  if (url?.protocol !== "https:" || url.username !== "" || url.password !== "") return null;
  // "?" and "#" alone leave search and hash empty.
  return /[?#]/.test(url.href) ? null : url.href.replace(/\/+$/, "");
}
