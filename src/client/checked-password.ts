// Passwords that were wrong, counted by account: whoever guesses at one from many addresses is slowed down too.
//
// An attempt is counted before it is looked at, so that a thousand at once are a thousand, and given back when it was
// right: who knows their password is not slowed down by using it. Names of nobody are counted like others, or the
// refusal would tell who there is.
//
// Source: client-server API, "Rate limiting".

import { MAX_ID_BYTES } from '../event/ids.js';
import type { User } from '../account/users.js';
import { limitExceeded } from './errors.js';
import type { Homeserver } from './homeserver.js';

/**
 * Who it is, if the password is theirs.
 * @param name a user id, or the part of it before the server
 * @throws MatrixError 429 after too many wrong ones
 */
export async function checkedPassword(
  { accounts, options, passwordAttempts }: Homeserver,
  name: string,
  password: string,
): Promise<User | undefined> {
  const userId = name.startsWith('@') ? name : `@${name}:${options.serverName}`;
  const account = accounts.users.find(name)?.userId ?? userId.slice(0, MAX_ID_BYTES).toLowerCase();
  const retryAfterMs = passwordAttempts?.take(account) ?? 0;
  if (retryAfterMs > 0) throw limitExceeded(retryAfterMs);
  const user = await accounts.checkPassword(name, password);
  if (user !== undefined) passwordAttempts?.giveBack(account);
  return user;
}
