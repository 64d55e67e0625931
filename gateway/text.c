/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <locale.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* gettext translates nothing in the locale "C", whatever LANGUAGE says, and a box that was set up with the
 * least has no other but this one. */
#define PLAIN_LOCALE "C.UTF-8"
/* Says that LANGUAGE is ours and not the user's, across an exec. */
#define OURS "FIELDGATE_LANGUAGE"

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value && *value;
}

/* "vi_VN.UTF-8" of the variable that decides; "" when none is set. */
static const char *asked_for(void)
{
    static const char *const variables[] = {"LC_ALL", "LC_MESSAGES", "LANG"};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        if (is_set(variables[i]))
            return getenv(variables[i]);
    return "";
}

static void speak(const char *language)
{
    setlocale(LC_MESSAGES, PLAIN_LOCALE);
    setenv("LANGUAGE", language, 1);
    setenv(OURS, language, 1);
    textdomain("fieldgate"); /* has gettext forget what it looked up before */
}

void text_init(void)
{
    text_forget_language();
    const char *folder = getenv("FIELDGATE_LOCALE_DIR");
    bindtextdomain("fieldgate", folder && *folder ? folder : FG_LOCALE);
    bind_textdomain_codeset("fieldgate", "UTF-8");
    textdomain("fieldgate");
    setlocale(LC_CTYPE, PLAIN_LOCALE);
    const char *asked = asked_for();
    bool plain = *asked == '\0' || strcmp(asked, "C") == 0 || strcmp(asked, "POSIX") == 0;
    if (is_set("LANGUAGE"))
        setlocale(LC_MESSAGES, PLAIN_LOCALE);
    else if (!plain && !setlocale(LC_MESSAGES, "") && strncmp(asked, "vi", 2) == 0)
        speak("vi"); /* asked for, but its locale was never generated on this box */
}

void text_language(const char *language)
{
    if (language && strcmp(language, "auto") != 0 && (!is_set("LANGUAGE") || is_set(OURS)))
        speak(language);
}

void text_forget_language(void)
{
    if (is_set(OURS))
        unsetenv("LANGUAGE");
    unsetenv(OURS);
}

void text_mend(char *text)
{
    size_t len = strlen(text), start = len;
    while (start > 0 && len - start < 3 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0 || (unsigned char)text[start - 1] < 0xC0)
        return; /* it ends with ASCII, or was no UTF-8 */
    unsigned char first = (unsigned char)text[start - 1];
    size_t whole = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (len - (start - 1) < whole)
        text[start - 1] = '\0';
}

size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text; text++) /* bytes that go on with a character begin with the bits 10 */
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

int text_field(const char *text, int columns)
{
    return columns + (int)(strlen(text) - text_width(text));
}
