// The configuration file as `stateroom serve --print-config` writes it: every setting, with what it means and
// what it is when nobody says. Read back unchanged, it changes nothing.

import { type Setting, SETTINGS, variableOf } from './settings.js';

const HEAD = `# The configuration of a stateroom homeserver. Every setting stands here as it is without a file.
#
#   stateroom serve --print-config > stateroom.yaml
#   stateroom serve --config stateroom.yaml
#
# Environment variables say the same and count for more: listen.port is ${variableOf('listen.port')}; lists are
# separated by commas. Flags of \`stateroom serve\` count for most.
`;

export function printConfig(): string {
  const lines = [HEAD];
  let sections: readonly string[] = [];
  for (const setting of SETTINGS) {
    const path = setting.key.split('.');
    const parents = path.slice(0, -1);
    if (parents.length === 0 && lines.length > 1) lines.push('');
    parents.forEach((name, depth) => {
      if (parents.slice(0, depth + 1).every((parent, i) => sections[i] === parent)) return;
      if (depth === 0) lines.push('');
      lines.push(`${'  '.repeat(depth)}${name}:`);
    });
    sections = parents;
    const indent = '  '.repeat(parents.length);
    lines.push(`${indent}# ${setting.doc}`, `${indent}${lineOf(setting, path.at(-1) ?? '')}`);
  }
  return `${lines.join('\n')}\n`;
}

function lineOf({ fallback, example }: Setting, name: string): string {
  return fallback === undefined ? `# ${name}: ${example}` : `${name}: ${valueText(fallback)}`;
}

function valueText(value: NonNullable<Setting['fallback']>): string {
  if (typeof value !== 'string') return JSON.stringify(value);
  return /^[0-9:]/.test(value) ? `'${value}'` : value;
}
