// What goes wrong on the command line, as one clear line and an exit code.
//
//   0 done   1 the answer is no (not found, a check failed)   2 wrong usage   3 failed

import { defineError, StateroomError } from '../lib/errors.js';
import { messageColors, note, printable } from './output.js';

export const EXIT = { done: 0, no: 1, usage: 2, failed: 3 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const UsageError = defineError(
  'CLI_USAGE',
  'The command line asks for something that there is not, or for too little; `--help` shows what there is.',
);
export const FileError = defineError(
  'CLI_FILE_UNREADABLE',
  'A file that was named cannot be read or written: the message says which and why.',
);
export const KeysError = defineError(
  'CLI_KEYS_INVALID',
  'The file of public keys is not `{server: {key_id: base64}}` with Ed25519 keys of 32 bytes.',
);
export const ProofFileError = defineError(
  'CLI_PROOF_INVALID',
  'The file is no proof as `stateroom prove` writes it.',
);
export const InterruptedError = defineError(
  'CLI_INTERRUPTED',
  'The command was stopped; what it had acknowledged until then stays.',
);

/** Codes that answer a question with no, and those that say the question was no question. */
const NO_CODES = new Set([
  'READER_EVENT_UNKNOWN',
  'READER_ROOM_UNKNOWN',
  'READER_ROOT_UNKNOWN',
  'READER_NO_STATE',
  'READER_NOTHING_TO_MERGE',
  'STORE_ROOM_UNKNOWN',
]);
const USAGE_CODES = new Set(['CLI_USAGE', 'READER_TARGET_INVALID', 'GENERATE_BAD_OPTION']);

/** The exit code that an error stands for. */
export function exitCodeOf(error: unknown): ExitCode {
  if (!(error instanceof StateroomError)) return EXIT.failed;
  if (NO_CODES.has(error.code)) return EXIT.no;
  return USAGE_CODES.has(error.code) ? EXIT.usage : EXIT.failed;
}

/** Says what went wrong in one line on stderr. The stack is for who works on stateroom: STATEROOM_DEBUG=1. */
export function reportError(error: unknown): void {
  const { code, message } = codeAndMessage(error);
  note(`${messageColors.red('stateroom:')} ${code}: ${printable(message)}`);
  if (process.env['STATEROOM_DEBUG'] === '1' && error instanceof Error) note(error.stack ?? '');
}

function codeAndMessage(error: unknown): { readonly code: string; readonly message: string } {
  if (!(error instanceof Error)) return { code: 'INTERNAL', message: String(error) };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'INTERNAL';
  return { code, message: error.message };
}

/** A fault of the file system as ours, naming the file. */
export function fileFault(path: string, cause: unknown): StateroomError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  const why = typeof code === 'string' ? FILE_FAULTS.get(code) : undefined;
  const message = cause instanceof Error ? cause.message : String(cause);
  return new FileError(`${path}: ${why ?? message}`, { file: path }, cause);
}

const FILE_FAULTS: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'there is no such file'],
  ['EISDIR', 'is a folder, not a file'],
  ['ENOTDIR', 'is below something that is no folder'],
  ['EACCES', 'may not be accessed'],
  ['ENOSPC', 'the disk is full'],
]);
