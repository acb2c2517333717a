// The server's signing keys on disk, for their owner's eyes only: the first line is the key that signs, those
// after it signed before and are told to others as old, with the moment until which they signed.
//
//   ed25519 VERSION SEED
//   ed25519 VERSION SEED EXPIRED_TS       milliseconds since 1970
//
// The first line is the one that Synapse writes too, so that a key can be brought along. The file is written
// whole or not at all, and never without the keys that it held: a lost key cannot be made again.

import { randomBytes, randomInt } from 'node:crypto';
import { link, open, readFile, rename, rm } from 'node:fs/promises';
import { fromBase64, toBase64 } from '../lib/base64.js';
import { type StateroomError, toError } from '../lib/errors.js';
import { createSigningKey, type SigningKey } from '../event/signing.js';
import type { RetiredKey } from '../federation/identity/server-keys.js';
import { SigningKeyError } from './errors.js';

const LINE = /^ed25519 ([a-zA-Z0-9_]+) ([A-Za-z0-9+/]{43})=?(?: ([0-9]{1,15}))?$/;
const OWNER_ONLY = 0o600;
const VERSION_LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';

interface KeyLine {
  readonly key: SigningKey;
  readonly expiredTs: number | undefined;
}

/** The keys of a file. The object stays the same when they are rotated. */
export class KeptSigningKeys {
  /** The key that signs: this object always stands for the newest. */
  readonly signingKey: SigningKey;
  /** Were they made just now? */
  readonly isNew: boolean;
  readonly #path: string;
  #lines: readonly string[];
  #current: SigningKey;
  #retired: readonly RetiredKey[];

  private constructor(path: string, text: string, isNew: boolean) {
    this.#path = path;
    this.isNew = isNew;
    this.#lines = linesOf(text);
    const { current, retired } = keysOf(path, this.#lines);
    this.#current = current;
    this.#retired = retired;
    const newest = (): SigningKey => this.#current;
    this.signingKey = {
      get keyId() {
        return newest().keyId;
      },
      get publicKey() {
        return newest().publicKey;
      },
      sign: (message) => newest().sign(message),
      signAsync: (message) => newest().signAsync(message),
    };
  }

  /** The keys in the file, one made and written when there is no such file. @throws SERVER_KEY_INVALID */
  static async open(path: string): Promise<KeptSigningKeys> {
    const text = await textOf(path);
    if (text !== undefined) return new KeptSigningKeys(path, text, false);
    const made = `${newLine()}\n`;
    await written(path, made, link);
    return new KeptSigningKeys(path, made, true);
  }

  /** Keys that signed before, newest first. */
  retired(): readonly RetiredKey[] {
    return this.#retired;
  }

  /** Makes a key that signs from now on, once it is on disk. @throws SERVER_KEY_INVALID */
  async rotate(now: number): Promise<SigningKey> {
    const [signed = '', ...older] = this.#lines;
    const lines = [newLine(), `${signed} ${now}`, ...older];
    await written(this.#path, `${lines.join('\n')}\n`, rename);
    const { current, retired } = keysOf(this.#path, lines);
    this.#lines = lines;
    this.#current = current;
    this.#retired = retired;
    return current;
  }
}

function newLine(): string {
  const version = Array.from({ length: 4 }, () => VERSION_LETTERS.charAt(randomInt(36))).join('');
  return `ed25519 a_${version} ${toBase64(randomBytes(32))}`;
}

async function textOf(path: string): Promise<string | undefined> {
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

function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function keysOf(
  path: string,
  lines: readonly string[],
): { readonly current: SigningKey; readonly retired: readonly RetiredKey[] } {
  const [first, ...older] = lines.map((line) => parseLine(path, line));
  if (first === undefined || first.expiredTs !== undefined) throw unusable(path);
  const retired = older.map(({ key: { keyId, publicKey }, expiredTs }) => {
    if (expiredTs === undefined) {
      throw new SigningKeyError(
        `${path} holds ${keyId} behind the key that signs: its line ends with the time at which it signed last`,
        { path, key_id: keyId },
      );
    }
    return { keyId, publicKey, expiredTs };
  });
  return { current: first.key, retired };
}

function parseLine(path: string, line: string): KeyLine {
  const [, version, text, expired] = LINE.exec(line) ?? [];
  const seed = text === undefined ? undefined : fromBase64(text);
  if (version === undefined || seed?.length !== 32) throw unusable(path);
  const expiredTs = expired === undefined ? undefined : Number(expired);
  return { key: createSigningKey(`ed25519:${version}`, seed), expiredTs };
}

function unusable(path: string): StateroomError {
  return new SigningKeyError(
    `${path} holds no signing key; its first line is expected to be: ed25519 VERSION SEED`,
    { path },
  );
}

/**
 * On disk whole under its name, or not there.
 * @param put `link` fails where a file came meanwhile, `rename` takes its place
 */
async function written(
  path: string,
  text: string,
  put: (draft: string, path: string) => Promise<void>,
): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    const file = await open(draft, 'wx', OWNER_ONLY);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    try {
      await put(draft, path);
    } finally {
      await rm(draft, { force: true });
    }
  } catch (cause) {
    throw new SigningKeyError(
      `cannot write the signing key to ${path}: ${toError(cause).message}`,
      { path },
      cause,
    );
  }
}
