// The little that the auth rules read from strings that may be identifiers. Checked ids: src/event/ids.ts.

/** The server in an id: what stands after the first colon, or undefined where there is none. */
export function domainOf(id: string): string | undefined {
  const colon = id.indexOf(':');
  return colon === -1 ? undefined : id.slice(colon + 1);
}

/**
 * Is this of the form `@localpart:domain`? Nothing is asked of the domain, nor of the length: this is what
 * the keys of `users` in power levels have always been held to.
 */
export function looksLikeUserId(text: string): boolean {
  return text.startsWith('@') && text.includes(':');
}
