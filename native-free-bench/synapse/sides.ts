// The two servers of the comparison, each in a process of its own with its default embedded database, on one
// machine and one network: SQLite for Synapse, and ours, which has every write on disk before it is acknowledged.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { makeCertificates } from '../../tools/peers/certificates.js';
import { OriginServer, type Place } from '../../tools/peers/origin-server.js';
import { RunningServer } from '../../tools/peers/running-server.js';
import { RunningSynapse } from '../../tools/peers/running-synapse.js';
import { freePort, Wire } from '../../tools/peers/wire.js';

export type SideName = 'ours' | 'theirs';

/** One server, as the measurements see it. */
export interface Side extends Place {
  readonly name: SideName;
  /** Of the client-server API. */
  readonly address: string;
  /** Bytes that its database takes on disk, its log worked into the rest of it. */
  readonly bytesOnDisk: () => Promise<number>;
  /** What it has to say where something goes wrong. */
  readonly log: () => string;
}

export interface Sides {
  readonly ours: Side;
  readonly theirs: Side;
  /** Another server, which both know. */
  readonly origin: OriginServer;
  readonly stop: () => Promise<void>;
}

/** SQLite's write-ahead log goes into the database first: what is in it twice is not to be counted twice. */
const CHECKPOINT = `
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=30)
connection.execute('PRAGMA wal_checkpoint(TRUNCATE)')
`;

/** @param folder an empty one */
export async function startSides(python: string, folder: string): Promise<Sides> {
  const certificates = makeCertificates(python, folder);
  const [cert, key, ca] = [certificates.certificate, certificates.key, certificates.authority].map((path) =>
    readFileSync(path, 'utf8'),
  );
  const origin = await OriginServer.start({ cert: cert ?? '', key: key ?? '', ca: ca ?? '' }, 'synapse');
  const wire = await Wire.open();
  const tlsPort = await freePort();
  const ourFolder = join(folder, 'ours');
  const theirFolder = join(folder, 'theirs');
  mkdirSync(ourFolder);
  const ourName = `localhost:${tlsPort}`;
  const config = {
    server_name: ourName,
    federation: {
      enabled: true,
      ca_file: certificates.authority,
      allow_private_networks: ['127.0.0.0/8', '::1'],
      tls: {
        address: '127.0.0.1',
        port: tlsPort,
        cert_file: certificates.certificate,
        key_file: certificates.key,
      },
    },
    rate_limits: { enabled: false },
  };
  const [theirs, ours] = await Promise.all([
    RunningSynapse.start({ python, folder: theirFolder, certificates, wire }),
    RunningServer.start({ config, folder: ourFolder }),
  ]);
  return {
    origin,
    ours: {
      name: 'ours',
      serverName: ourName,
      port: tlsPort,
      address: ours.address,
      bytesOnDisk: () => compactedBytes(join(ourFolder, 'data'), join(folder, 'copy')),
      log: () => ours.complaints().join('\n'),
    },
    theirs: {
      name: 'theirs',
      serverName: theirs.serverName,
      port: wire.port,
      address: theirs.address,
      bytesOnDisk: async () => {
        const database = join(theirFolder, 'homeserver.db');
        const { status, stderr } = spawnSync(python, ['-c', CHECKPOINT, database], { encoding: 'utf8' });
        if (status !== 0) throw new Error(`SQLite makes no checkpoint: ${stderr}`);
        return statSync(database).size;
      },
      log: () => theirs.log(),
    },
    stop: async () => {
      await Promise.all([ours.stop(), theirs.stop()]);
      await Promise.all([origin.close(), wire.close()]);
    },
  };
}

/** LevelDB's log and its newest tables hold what is deleted again soon: it is compacted, in a copy. */
async function compactedBytes(folder: string, copy: string): Promise<number> {
  await cp(folder, copy, { recursive: true, filter: (path) => !path.endsWith('.sock') });
  try {
    const database = new ClassicLevel<Uint8Array, Uint8Array>(copy, {
      keyEncoding: 'view',
      valueEncoding: 'view',
    });
    await database.open();
    await database.compactRange(Uint8Array.of(0), new Uint8Array(64).fill(255));
    await database.close();
    return bytesIn(copy);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

function bytesIn(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(join(folder, name), { throwIfNoEntry: false }))
    .reduce((sum, stats) => sum + (stats?.isFile() === true ? stats.size : 0), 0);
}
