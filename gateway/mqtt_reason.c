/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt_reason - MQTT 5 reason codes in plain words: see mqtt.h. */
#include "mqtt.h"
#include "text.h"

/* MQTT 5.0, section 2.4, table 2-6; the words and next steps are ours. */
static const struct {
    int reason;
    const char *text;
} REASONS[] = {
    {0, N_("success")},
    {1, N_("granted QoS 1")},
    {2, N_("granted QoS 2")},
    {4, N_("disconnected with the will message")},
    {16, N_("taken, but nobody is subscribed: the broker has thrown the message away")},
    {17, N_("no such subscription")},
    {24, N_("continue authentication")},
    {25, N_("authenticate again")},
    {128, N_("the broker gives no reason; see the broker's log")},
    {129, N_("the broker could not read the packet")},
    {130, N_("protocol error")},
    {131, N_("refused by a rule of this broker; see the broker's log")},
    {132, N_("the broker does not speak this MQTT version; set version: 3.1.1")},
    {133, N_("the broker does not accept this client_id; ask its operator for the rule")},
    {134, N_("user name or password is wrong; check username and credential")},
    {135,
     N_("not authorised: the broker's access rules do not allow this topic or client; ask its operator")},
    {136, N_("the broker is not available")},
    {137, N_("the broker is busy; it will be tried again")},
    {138, N_("this client is banned; ask the broker's operator")},
    {139, N_("the broker is shutting down")},
    {140, N_("the authentication method is not supported or not the one begun with")},
    {141, N_("the broker heard nothing from us within the keepalive")},
    {142, N_("another client with the same client_id has taken over; two gateways must not share one")},
    {143, N_("the topic filter is not allowed by this broker")},
    {144, N_("the topic name is not allowed by this broker; check topic")},
    {145, N_("the packet identifier is in use")},
    {146, N_("the packet identifier is unknown")},
    {147, N_("more messages in flight than the broker allows")},
    {148, N_("the topic alias is not valid")},
    {149, N_("the message is larger than the broker allows; lower batch: max_bytes")},
    {150, N_("too many messages in a short time; the broker asks to go slower")},
    {151, N_("a quota of the broker is used up; ask its operator")},
    {152, N_("the broker's operator has ended the connection")},
    {153, N_("the payload is not in the format that was announced")},
    {154, N_("the broker does not keep retained messages; birth and state need them")},
    {155, N_("the broker does not support QoS 1")},
    {156, N_("use another server for now")},
    {157, N_("the broker has moved; ask for its new address")},
    {158, N_("shared subscriptions are not supported")},
    {159, N_("too many connections in a short time; the broker asks to wait")},
    {160, N_("the longest time allowed for one connection is over")},
    {161, N_("subscription identifiers are not supported")},
    {162, N_("wildcard subscriptions are not supported")},
};

const char *mqtt_reason_text(int reason)
{
    for (size_t i = 0; i < sizeof(REASONS) / sizeof(REASONS[0]); i++) {
        if (REASONS[i].reason == reason)
            return _(REASONS[i].text);
    }
    return reason < 0 ? _("the connection failed")
                      : _("a reason this version does not know; see the broker's log");
}
