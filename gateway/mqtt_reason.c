/* SPDX-License-Identifier: Apache-2.0 */
/* mqtt_reason - MQTT 5 reason codes in plain words: see mqtt.h. */
#include "mqtt.h"

/* MQTT 5.0, section 2.4, table 2-6; the words and next steps are ours. */
static const struct {
    int reason;
    const char *text;
} REASONS[] = {
    {0, "success"},
    {1, "granted QoS 1"},
    {2, "granted QoS 2"},
    {4, "disconnected with the will message"},
    {16, "taken, but nobody is subscribed: the broker has thrown the message away"},
    {17, "no such subscription"},
    {24, "continue authentication"},
    {25, "authenticate again"},
    {128, "the broker gives no reason; see the broker's log"},
    {129, "the broker could not read the packet"},
    {130, "protocol error"},
    {131, "refused by a rule of this broker; see the broker's log"},
    {132, "the broker does not speak this MQTT version; set version: 3.1.1"},
    {133, "the broker does not accept this client_id; ask its operator for the rule"},
    {134, "user name or password is wrong; check username and credential"},
    {135, "not authorised: the broker's access rules do not allow this topic or client; ask its operator"},
    {136, "the broker is not available"},
    {137, "the broker is busy; it will be tried again"},
    {138, "this client is banned; ask the broker's operator"},
    {139, "the broker is shutting down"},
    {140, "the authentication method is not supported or not the one begun with"},
    {141, "the broker heard nothing from us within the keepalive"},
    {142, "another client with the same client_id has taken over; two gateways must not share one"},
    {143, "the topic filter is not allowed by this broker"},
    {144, "the topic name is not allowed by this broker; check topic"},
    {145, "the packet identifier is in use"},
    {146, "the packet identifier is unknown"},
    {147, "more messages in flight than the broker allows"},
    {148, "the topic alias is not valid"},
    {149, "the message is larger than the broker allows; lower batch: max_bytes"},
    {150, "too many messages in a short time; the broker asks to go slower"},
    {151, "a quota of the broker is used up; ask its operator"},
    {152, "the broker's operator has ended the connection"},
    {153, "the payload is not in the format that was announced"},
    {154, "the broker does not keep retained messages; birth and state need them"},
    {155, "the broker does not support QoS 1"},
    {156, "use another server for now"},
    {157, "the broker has moved; ask for its new address"},
    {158, "shared subscriptions are not supported"},
    {159, "too many connections in a short time; the broker asks to wait"},
    {160, "the longest time allowed for one connection is over"},
    {161, "subscription identifiers are not supported"},
    {162, "wildcard subscriptions are not supported"},
};

const char *mqtt_reason_text(int reason)
{
    for (size_t i = 0; i < sizeof(REASONS) / sizeof(REASONS[0]); i++) {
        if (REASONS[i].reason == reason)
            return REASONS[i].text;
    }
    return reason < 0 ? "the connection failed" : "a reason this version does not know; see the broker's log";
}
