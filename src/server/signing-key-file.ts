// The server's signing key on disk: one line, `ed25519 VERSION SEED`, for its owner's eyes only.
//
// The line is the one that Synapse writes too, so that a key can be brought along. It is written whole or not
// at all, and never over one that is there: a lost key cannot be made again.

import { randomBytes, randomInt } from 'node:crypto';
import { link, open, readFile, rm } from 'node:fs/promises';
import { fromBase64, toBase64 } from '../lib/base64.js';
import { toError } from '../lib/errors.js';
import { createSigningKey, type SigningKey } from '../event/signing.js';
import { SigningKeyError } from './errors.js';

const LINE = /^ed25519 ([a-zA-Z0-9_]+) ([A-Za-z0-9+/]{43})=?\s*$/;
const OWNER_ONLY = 0o600;
const VERSION_LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';

/** A key, and whether it was made just now. */
export interface KeptSigningKey {
  readonly key: SigningKey;
  readonly isNew: boolean;
}

/** The key in the file, made and written when there is no such file. @throws SERVER_KEY_INVALID */
export async function keptSigningKey(path: string): Promise<KeptSigningKey> {
  const line = await lineOf(path);
  if (line !== undefined) return { key: parseKey(path, line), isNew: false };
  const version = `a_${Array.from({ length: 4 }, () => VERSION_LETTERS.charAt(randomInt(36))).join('')}`;
  const made = `ed25519 ${version} ${toBase64(randomBytes(32))}\n`;
  try {
    await writeNew(path, made);
  } catch (cause) {
    throw new SigningKeyError(
      `cannot write the signing key to ${path}: ${toError(cause).message}`,
      { path },
      cause,
    );
  }
  return { key: parseKey(path, made), isNew: true };
}

async function lineOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw new SigningKeyError(
      `cannot read the signing key in ${path}: ${toError(cause).message}`,
      { path },
      cause,
    );
  }
}

function parseKey(path: string, line: string): SigningKey {
  const [, version, text] = LINE.exec(line) ?? [];
  const seed = text === undefined ? undefined : fromBase64(text);
  if (version === undefined || seed?.length !== 32) {
    throw new SigningKeyError(`${path} holds no signing key; one line is expected: ed25519 VERSION SEED`, {
      path,
    });
  }
  return createSigningKey(`ed25519:${version}`, seed);
}

/** On disk whole under its name, or not there. `link` fails where a file came meanwhile. */
async function writeNew(path: string, text: string): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  const file = await open(draft, 'wx', OWNER_ONLY);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  try {
    await link(draft, path);
  } finally {
    await rm(draft);
  }
}
