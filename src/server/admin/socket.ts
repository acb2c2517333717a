// The server's end of its local socket.

import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import type { Homeserver } from '../../client/homeserver.js';
import { StateroomError, toError } from '../../lib/errors.js';
import { AdminRequestError } from '../errors.js';
import type { Logger } from '../operations/logs.js';
import { ADMIN_METHODS } from './methods.js';
import { type AdminRequest, LineSplitter, REQUEST_BYTES_MAX, socketPath } from './protocol.js';
import { StoreQuestions } from './store-questions.js';

const CONNECTIONS_MAX = 32;
const OWNER_ONLY = 0o600;

export interface AdminSocket {
  /** Takes no more connections and ends those that are open. */
  readonly close: () => Promise<void>;
}

/** Listens in the data folder; undefined where its path is too long for a socket. */
export async function openAdminSocket(
  home: Homeserver,
  dataFolder: string,
  log: Logger,
): Promise<AdminSocket | undefined> {
  const path = socketPath(dataFolder);
  if (path === undefined) {
    log.warn({ data: dataFolder }, 'the path of the data folder is too long for a socket: no admin commands');
    return undefined;
  }
  const connections = new Set<Socket>();
  const server = createServer((socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
    serve(socket, home, log);
  });
  server.maxConnections = CONNECTIONS_MAX;
  // Nobody else has the store open, so a socket that lies there is left over from a server that was killed.
  await rm(path, { force: true });
  await listen(server, path);
  return {
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of connections) socket.destroy();
      await closed;
    },
  };
}

/** The socket is its owner's from its first moment: `listen` makes it at once, under this mask. */
async function listen(server: Server, path: string): Promise<void> {
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
      process.umask(mask);
    });
  } finally {
    process.umask(mask);
  }
  await chmod(path, OWNER_ONLY);
}

function serve(socket: Socket, home: Homeserver, log: Logger): void {
  const lines = new LineSplitter(REQUEST_BYTES_MAX);
  const store = new StoreQuestions(home.engine.store);
  // One at a time and in order, and no more is read than is answered.
  let work = Promise.resolve();
  const answerAll = async (requests: readonly string[]): Promise<void> => {
    for (const line of requests) socket.write(`${JSON.stringify(await answer(line, home, store, log))}\n`);
    socket.resume();
  };
  socket.on('error', (error) => log.debug({ err: error }, 'a local connection broke'));
  socket.once('close', () => {
    work = work.then(() => store.close());
  });
  socket.on('data', (chunk) => {
    const complete = lines.take(chunk);
    if (complete === undefined) {
      socket.destroy();
      return;
    }
    socket.pause();
    work = work.then(() => answerAll(complete));
  });
}

async function answer(line: string, home: Homeserver, store: StoreQuestions, log: Logger): Promise<object> {
  let id = 0;
  try {
    const request = parse(line);
    id = request.id;
    const question = store.method(request.method);
    if (question !== undefined) return { id, result: await question(request.params) };
    const method = ADMIN_METHODS.get(request.method);
    if (method === undefined) throw new AdminRequestError(`there is no ${request.method}`);
    if (method.isChange) {
      const { user_id: user, server } = request.params;
      log.info({ method: request.method, user, server }, 'admin command');
    }
    return { id, result: await method.run(home, request.params) };
  } catch (thrown) {
    if (thrown instanceof StateroomError) return { id, error: thrown };
    log.error({ err: thrown }, 'an admin command failed');
    return { id, error: { code: 'INTERNAL', message: toError(thrown).message, fields: {} } };
  }
}

function parse(line: string): AdminRequest {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new AdminRequestError('a request is a line of JSON', {}, cause);
  }
  const { id, method, params } = (value ?? {}) as Partial<AdminRequest>;
  if (typeof id !== 'number' || typeof method !== 'string' || typeof params !== 'object' || params === null) {
    throw new AdminRequestError('a request has id, method and params');
  }
  return { id, method, params };
}
