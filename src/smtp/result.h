/* What a command said of a message, as a reply. Pure: status and text in, reply out. */
#ifndef SMTPIN_SMTP_RESULT_H
#define SMTPIN_SMTP_RESULT_H

#include "smtp/reply.h"

enum {
    SMTP_RESULT_TEXT_MAX = 400, /* of a command's line, so that the reply stays one line */
};

/* `exit_map =`: rows over those of the table; code 0: none. */
struct smtp_exit_map {
    unsigned short code[256];
};

/* Adds rows to *map: "69:550 99:250", "qmail", "sysexits". False when a word is none of these. */
bool smtp_exit_map_add(struct smtp_exit_map *map, struct span words);

/* Exit status (sysexits(3), and qmail's 100) to reply. Only listed codes are permanent: a wrong 5yz
 * loses mail at once, a wrong 4yz only delays it, and a script's bug must not bounce mail. */
struct smtp_reply smtp_result_of_exit(const struct smtp_exit_map *map, unsigned status);
/* The same for qmail-queue(8): 0; 11 to 40 permanent; everything else temporary. */
struct smtp_reply smtp_result_of_qmail_queue(unsigned status);
/* A signal, a time-out, a program that could not be started. */
struct smtp_reply smtp_result_of_failure(void);

/* The first line of a command's output, without its end. */
struct span smtp_first_line(struct span output);

/* Lets the command's own words in: the first line of its output, cut and cleaned into `room`, which
 * must outlive the reply. Where the command failed, a leading enhanced status code
 * ("5.2.2 Mailbox full", "450 4.2.2 ...") decides the reply, as in Postfix pipe(8), and with
 * `codes` ("reply_codes = yes") a leading basic code too ("550 No such user"). Where it succeeded
 * the reply stays a success: the message is stored, whatever it prints. A code is never a part of
 * the text, and a line whose codes are of another class than the reply's is left out: a text never
 * contradicts its code. */
void smtp_result_refine(struct smtp_reply *r, struct span output, bool codes, struct text *room);

/* A whole reply line of a command ("550 5.2.2 Mailbox full"), cleaned into `room`: 250, or a code
 * that DATA may have; the enhanced code may be missing. False when it is none. */
bool smtp_result_of_line(struct smtp_reply *r, struct span line, struct text *room);

/* An opinion of an administrator's table, check command or policy server, in words: "450 4.2.1 Try
 * again", as in Postfix access(5): a code of 4yz or 5yz (451 or 554 where no SMTP code is written
 * so: 571), an enhanced code (where there is none: 5.7.1, 4.7.0, for 451 4.7.1) and a text. After
 * 421 and 521 the connection ends. False when it begins with no such code, or its two codes are of
 * two classes. */
bool smtp_result_of_words(struct smtp_reply *r, struct span words, struct text *room);
/* Lets such words into a reply whose code is decided already: "4.2.0 Greylisted, come again". A
 * leading enhanced code of the reply's class takes the place of the reply's own, another one is
 * left out; what follows, if anything, is the text. No basic code is looked for. */
void smtp_result_add_words(struct smtp_reply *r, struct span words, struct text *room);

/* The basic code that fits an enhanced code after DATA (RFC 5321 4.3.2); 0 for none. */
unsigned smtp_code_of_enhanced(struct span enhanced);

#endif
