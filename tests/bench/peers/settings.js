// SPDX-License-Identifier: Apache-2.0
// Node-RED's settings, as the file that it brings along (settings.js) explains them. What is not here has the value that
// this file has or recommends.
'use strict';
module.exports = {
  uiHost: '127.0.0.1',
  uiPort: Number(process.env.PEERS_UI_PORT),

  // A gateway at work: no editor, no telemetry, nothing fetched.
  disableEditor: true,
  httpAdminRoot: false,
  telemetry: { enabled: false, updateNotification: false },
  externalModules: {
    autoInstall: false,
    palette: { allowInstall: false, allowUpload: false },
    modules: { allowInstall: false }
  },
  credentialSecret: false,
  flowFilePretty: true,
  diagnostics: { enabled: false, ui: false },
  runtimeState: { enabled: false, ui: false },

  // As in the file that Node-RED brings along.
  mqttReconnectTime: 15000,
  serialReconnectTime: 15000,
  debugMaxLength: 1000,

  // "functionGlobalContext": what function nodes may use.
  functionGlobalContext: process.env.PEERS_BUFFER ? { buffer: require('./buffer.js')(process.env.PEERS_BUFFER) } : {},

  logging: { console: { level: 'warn', metrics: false, audit: false } }
};
