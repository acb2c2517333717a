// A question to a running server, over the socket in its data folder.

import type { Command } from 'commander';
import { globalsOf } from './context.js';

export async function askServer<Result>(
  command: Command,
  method: string,
  params: object = {},
): Promise<Result> {
  const { connectAdmin } = await import('../server/admin/client.js');
  const client = await connectAdmin(globalsOf(command).data);
  try {
    return await client.call<Result>(method, { ...params });
  } finally {
    client.close();
  }
}
