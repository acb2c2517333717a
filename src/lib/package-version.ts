// The version of this package.

import { readFileSync } from 'node:fs';

let version: string | undefined;

export function packageVersion(): string {
  version ??= versionIn(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'));
  return version;
}

function versionIn(text: string): string {
  return (JSON.parse(text) as { version: string }).version;
}
