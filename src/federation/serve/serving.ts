// What serving remembers between requests, one for each engine: members by server, auth chains, access lists.

import type { Engine } from '../../engine/engine.js';
import { ServerAcls } from '../inbound/server-acl.js';
import { AuthChains } from './history/auth-chains.js';
import { ServerMembers } from './server-members.js';

export interface Serving {
  readonly members: ServerMembers;
  readonly chains: AuthChains;
  readonly acls: ServerAcls;
}

const byEngine = new WeakMap<Engine, Serving>();

export function servingOf(engine: Engine): Serving {
  const existing = byEngine.get(engine);
  if (existing !== undefined) return existing;
  const serving = {
    members: new ServerMembers(),
    chains: new AuthChains(engine.store),
    acls: new ServerAcls(engine),
  };
  byEngine.set(engine, serving);
  return serving;
}
