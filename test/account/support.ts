// Accounts on an engine in memory, with a clock that stands still.

import { Accounts } from '../../src/account/accounts.js';
import { type Engine, openEngine } from '../../src/engine/engine.js';
import type { ServerName } from '../../src/event/ids.js';
import { createSigningKey } from '../../src/event/signing.js';

export const SERVER = 'example.org' as ServerName;

export interface TestAccounts {
  readonly engine: Engine;
  readonly accounts: Accounts;
  readonly clock: { now: number };
  /** The same engine's accounts, opened anew: nothing is left of what was in memory. */
  reopen(): Promise<Accounts>;
  close(): Promise<void>;
}

export async function openAccounts(): Promise<TestAccounts> {
  const clock = { now: 1_000_000 };
  const now = (): number => clock.now;
  const signingKey = createSigningKey('ed25519:1', new Uint8Array(32).fill(7));
  const engine = await openEngine({ serverName: SERVER, signingKey, now });
  const opened: Accounts[] = [];
  const open = async (): Promise<Accounts> => {
    const passwordCost = { memoryKiB: 8, passes: 1 };
    const accounts = await Accounts.open({ engine, serverName: SERVER, now, passwordCost });
    opened.push(accounts);
    return accounts;
  };
  return {
    engine,
    accounts: await open(),
    clock,
    reopen: open,
    async close() {
      for (const accounts of opened) await accounts.close();
      await engine.close();
    },
  };
}
