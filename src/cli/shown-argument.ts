/**
 * An argument as messages show it: of a URL without what may be secret, which are its user's password and its
 * query (a shared access signature is one). The file system of an abfss URL is no user.
 */
export function shownArgument(text: string): string {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(text)?.[0] ?? "";
  // Where the password ends nobody can say: it may have any of a URL's signs.
  if (!/^abfss?:/i.test(scheme) && /:[^]*@/.test(text)) return `${scheme}...`;
  return scheme === "" ? text : text.replace(/\?[^]*$/, "?...");
}
