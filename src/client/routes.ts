// Every endpoint of the client-server API that this server has; what is not here answers M_UNRECOGNIZED.

import { accountDataRoutes } from './account-data.js';
import { aliasRoutes } from './aliases.js';
import { capabilitiesRoutes } from './capabilities.js';
import { contextRoutes } from './context.js';
import { createRoomRoutes } from './create-room.js';
import { crossSigningRoutes } from './cross-signing.js';
import { deactivateRoutes } from './deactivate.js';
import { deviceRoutes } from './devices.js';
import { directoryRoutes } from './directory.js';
import { eventRoutes } from './event.js';
import { filterRoutes } from './filters.js';
import { joinedRoomsRoutes } from './joined-rooms.js';
import { keyBackupRoutes } from './key-backup.js';
import { keyRoutes } from './keys.js';
import { loginRoutes } from './login.js';
import { logoutRoutes } from './logout.js';
import { memberRoutes } from './members.js';
import { membershipRoutes } from './membership.js';
import { messagesRoutes } from './messages.js';
import { noneHereRoutes } from './none-here.js';
import { openIdRoutes } from './openid.js';
import { passwordRoutes } from './password.js';
import { profileRoutes } from './profile.js';
import { presenceRoutes } from './presence.js';
import { pushRuleRoutes } from './push-rules.js';
import { receiptRoutes } from './receipts.js';
import { redactRoutes } from './redact.js';
import { registerRoutes } from './register.js';
import { relationRoutes } from './relations.js';
import { roomSummaryRoutes } from './room-summary.js';
import type { Route } from './route.js';
import { sendRoutes } from './send.js';
import { stateRoutes } from './state.js';
import { syncRoutes } from './sync/routes.js';
import { tagRoutes } from './tags.js';
import { threadRoutes } from './threads.js';
import { toDeviceRoutes } from './to-device.js';
import { typingRoutes } from './typing.js';
import { versionsRoutes } from './versions.js';
import { wellKnownRoutes } from './well-known.js';
import { whoamiRoutes } from './whoami.js';

export const clientRoutes: readonly Route[] = [
  ...versionsRoutes,
  ...wellKnownRoutes,
  ...capabilitiesRoutes,
  ...noneHereRoutes,
  // Who one is.
  ...loginRoutes,
  ...registerRoutes,
  ...logoutRoutes,
  ...whoamiRoutes,
  ...deviceRoutes,
  ...passwordRoutes,
  ...deactivateRoutes,
  ...openIdRoutes,
  // What one keeps.
  ...profileRoutes,
  ...accountDataRoutes,
  ...tagRoutes,
  ...filterRoutes,
  ...pushRuleRoutes,
  // Encryption.
  ...keyRoutes,
  ...crossSigningRoutes,
  ...toDeviceRoutes,
  ...keyBackupRoutes,
  // Rooms.
  ...createRoomRoutes,
  ...membershipRoutes,
  ...joinedRoomsRoutes,
  ...memberRoutes,
  ...sendRoutes,
  ...redactRoutes,
  ...stateRoutes,
  ...messagesRoutes,
  ...contextRoutes,
  ...eventRoutes,
  ...relationRoutes,
  ...threadRoutes,
  ...aliasRoutes,
  ...directoryRoutes,
  ...roomSummaryRoutes,
  // What happens.
  ...syncRoutes,
  ...typingRoutes,
  ...receiptRoutes,
  ...presenceRoutes,
];
