// Structured logs: one line an entry, JSON for machines or text for a terminal.
//
// Nothing that is a secret gets near a log: requests are logged by method, path without its query, status and
// time; never headers, bodies or tokens.

import { Writable } from 'node:stream';
import { type Logger, pino } from 'pino';
import type { ServerConfig } from '../config/config.js';

export type { Logger } from 'pino';

/** The server's log. @param output where it goes; stdout without it */
export function openLog(config: ServerConfig['log'], output?: NodeJS.WritableStream): Logger {
  const isTerminal = output === undefined && process.stdout.isTTY;
  const asText = config.format === 'text' || (config.format === 'auto' && isTerminal);
  const target = output ?? pino.destination({ fd: 1, sync: true });
  return pino(
    {
      level: config.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    asText ? textLines(target) : target,
  );
}

/** Turns JSON lines into text: time, level, message, and the rest as `key=value`. */
function textLines(target: { write(line: string): unknown }): Writable {
  return new Writable({
    decodeStrings: false,
    write: (line: string | Buffer, _encoding, done) => {
      target.write(textOf(String(line)));
      done();
    },
  });
}

function textOf(line: string): string {
  const { time, level, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const facts = Object.entries(rest).map(
    ([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const head = `${String(time).slice(11, 23)} ${String(level).toUpperCase().padEnd(5)} ${typeof msg === 'string' ? msg : ''}`;
  const stack = typeof err === 'object' && err !== null && 'stack' in err ? `\n${String(err.stack)}` : '';
  return `${(head + facts.join('')).replaceAll(/\p{Cc}/gu, '?')}${stack}\n`;
}
