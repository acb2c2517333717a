// Federation as the configuration asks for it: over HTTPS, on the clock of this machine.

import type { Accounts } from '../account/accounts.js';
import type { Engine } from '../engine/engine.js';
import type { ServerName } from '../event/ids.js';
import { Federation } from '../federation/federation.js';
import { FEDERATION_OPTIONS } from '../federation/options.js';
import { afterReal } from '../federation/parts.js';
import { HttpsTransport } from '../federation/transport/https-transport.js';
import type { FederationConfig } from './config/federation-config.js';
import type { Logger } from './operations/logs.js';
import type { KeptSigningKeys } from './signing-key-file.js';
import { textOfFile } from './tls-listener.js';
import { packageVersion } from './version.js';

export interface FederationContext {
  readonly engine: Engine;
  readonly accounts: Accounts;
  readonly serverName: ServerName;
  readonly keys: KeptSigningKeys;
  readonly log: Logger;
}

/** Undefined where it is switched off. @throws SERVER_TLS_FILE for `federation.ca_file` */
export async function openFederation(
  config: FederationConfig,
  { engine, accounts, serverName, keys, log }: FederationContext,
): Promise<Federation | undefined> {
  if (!config.enabled) return undefined;
  const ca = config.caFile === undefined ? undefined : await textOfFile(config.caFile);
  const { signingKey } = keys;
  const transport = new HttpsTransport({
    serverName,
    signingKey,
    userAgent: `stateroom/${packageVersion()}`,
    resolve: config.resolve,
    allowedNetworks: config.allowPrivateNetworks,
    ca,
    now: Date.now,
    random: Math.random,
  });
  return Federation.open({
    engine,
    accounts,
    serverName,
    transport,
    signingKey,
    retiredKeys: () => keys.retired(),
    now: Date.now,
    random: Math.random,
    after: afterReal,
    log,
    options: {
      ...FEDERATION_OPTIONS,
      trustedKeyServers: config.trustedKeyServers,
      partialJoins: config.partialJoins,
      smallRoomMembersMax: config.smallRoomMembersMax,
      tellsNeededMembers: config.tellsNeededMembers,
    },
    tuning: {
      input: config.input,
      gaps: config.gaps,
      sender: { presenceServersMax: config.presenceServersMax },
    },
  });
}
