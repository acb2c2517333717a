// What goes wrong around the homeserver: its configuration, its start, its local socket.

import { defineError } from '../lib/errors.js';

export const ConfigError = defineError(
  'SERVER_CONFIG_INVALID',
  'The configuration holds settings that there are not, or values that cannot be; the message names each.',
);
export const ConfigUnreadableError = defineError(
  'SERVER_CONFIG_UNREADABLE',
  'The configuration file cannot be read, or is no YAML.',
);
export const SigningKeyError = defineError(
  'SERVER_KEY_INVALID',
  'The file of the signing key cannot be read or written, or holds no key. Restore it from a backup.',
);
export const NameChangedError = defineError(
  'SERVER_NAME_CHANGED',
  'The data folder belongs to a server of another name. A name cannot be changed; use another folder.',
);
export const ListenError = defineError(
  'SERVER_LISTEN_FAILED',
  'The address or port cannot be listened on: it is taken, or needs more rights.',
);
export const TlsFileError = defineError(
  'SERVER_TLS_FILE',
  'A file of certificates or of their private key cannot be read, or holds none.',
);
export const NotRunningError = defineError(
  'SERVER_NOT_RUNNING',
  'No server runs on the data folder, or it does not answer on its socket.',
);
export const AdminRequestError = defineError(
  'SERVER_ADMIN_REQUEST',
  'The server does not know what is asked of it, or misses something in it.',
);
export const ReadOnlyError = defineError(
  'SERVER_READ_ONLY',
  'A running server holds the store: it answers questions, but others may not change it. Stop it first.',
);
