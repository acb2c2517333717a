// Public keys of servers from a file: `{server: {key_id: base64}}`.

import { readFile } from 'node:fs/promises';
import { isObject, type JsonValue, parseJson } from '../../event/json.js';
import type { PublicKeys } from '../../event/verify.js';
import { fromBase64 } from '../../lib/base64.js';
import { StateroomError } from '../../lib/errors.js';
import { fileFault, KeysError } from '../errors.js';

const KEY_BYTES = 32;

/** Reads the keys of a file. @throws CLI_FILE_UNREADABLE, CLI_KEYS_INVALID */
export async function readKeys(file: string): Promise<PublicKeys> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (error) {
    throw fileFault(file, error);
  }
  const keys = keysIn(jsonOf(bytes, file), file);
  return (server, keyId) => keys.get(`${server} ${keyId}`);
}

function jsonOf(bytes: Uint8Array, file: string): JsonValue {
  try {
    return parseJson(bytes);
  } catch (error) {
    if (!(error instanceof StateroomError)) throw error;
    throw new KeysError(`${file} is no JSON`, { file }, error);
  }
}

function keysIn(json: JsonValue, file: string): Map<string, Uint8Array> {
  const keys = new Map<string, Uint8Array>();
  if (!isObject(json)) throw new KeysError(`${file} is no JSON object of servers`, { file });
  for (const [server, ofServer] of Object.entries(json)) {
    if (!isObject(ofServer)) throw new KeysError(`${file}: ${server} is no object of keys`, { file, server });
    for (const [keyId, text] of Object.entries(ofServer)) {
      const key = typeof text === 'string' ? fromBase64(text) : undefined;
      if (key?.length !== KEY_BYTES) {
        throw new KeysError(`${file}: key ${keyId} of ${server} is not ${KEY_BYTES} bytes of base64`, {
          file,
          server,
        });
      }
      keys.set(`${server} ${keyId}`, key);
    }
  }
  return keys;
}
