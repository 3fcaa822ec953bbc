/* The enhanced status codes that there are: IANA's registry "SMTP Enhanced Status Codes" (RFC 5248)
 * as of 2024-12-06, written down by hand. tests/unit/reply.c compares with it what the tables say,
 * tests/programs/standards.py every code in the sources. */

/* ENHANCED(subject, detail, the basic codes that the registry has beside it); 0: it has "Any",
 * "Not given", or names a class ("5XX", "other 4XX or 5XX codes are allowed"). */
ENHANCED(0, 0, 0)                            /* RFC 3463 */
ENHANCED(1, 0, 0)                            /* RFC 3463 */
ENHANCED(1, 1, 451, 550)                     /* RFC 3463 */
ENHANCED(1, 2, 0)                            /* RFC 3463 */
ENHANCED(1, 3, 501)                          /* RFC 3463 */
ENHANCED(1, 4, 0)                            /* RFC 3463 */
ENHANCED(1, 5, 250)                          /* RFC 3463 */
ENHANCED(1, 6, 0)                            /* RFC 3463 */
ENHANCED(1, 7, 0)                            /* RFC 3463 */
ENHANCED(1, 8, 451, 501)                     /* RFC 3463 */
ENHANCED(1, 9, 0)                            /* RFC 3886 */
ENHANCED(1, 10, 556)                         /* RFC 7504, RFC 7505 */
ENHANCED(2, 0, 0)                            /* RFC 3463 */
ENHANCED(2, 1, 0)                            /* RFC 3463 */
ENHANCED(2, 2, 552)                          /* RFC 3463 */
ENHANCED(2, 3, 552)                          /* RFC 3463 */
ENHANCED(2, 4, 450, 452)                     /* RFC 3463 */
ENHANCED(3, 0, 221, 250, 421, 451, 550, 554) /* RFC 3463 */
ENHANCED(3, 1, 452)                          /* RFC 3463 */
ENHANCED(3, 2, 453, 521)                     /* RFC 3463, RFC 7504 */
ENHANCED(3, 3, 0)                            /* RFC 3463 */
ENHANCED(3, 4, 552, 554)                     /* RFC 3463 */
ENHANCED(3, 5, 0)                            /* RFC 3463 */
ENHANCED(3, 6, 250, 251)                     /* RFC 6710 */
ENHANCED(4, 0, 0)                            /* RFC 3463 */
ENHANCED(4, 1, 451)                          /* RFC 3463 */
ENHANCED(4, 2, 421)                          /* RFC 3463 */
ENHANCED(4, 3, 451, 550)                     /* RFC 3463 */
ENHANCED(4, 4, 0)                            /* RFC 3463 */
ENHANCED(4, 5, 451)                          /* RFC 3463 */
ENHANCED(4, 6, 0)                            /* RFC 3463 */
ENHANCED(4, 7, 0)                            /* RFC 3463 */
ENHANCED(5, 0, 220, 250, 251, 252, 253, 451, 452, 454, 458, 459, 501, 502, 503, 554) /* RFC 3463 */
ENHANCED(5, 1, 430, 500, 501, 503, 530, 550, 554, 555)                               /* RFC 3463 */
ENHANCED(5, 2, 500, 501, 502, 550, 555)                                              /* RFC 3463 */
ENHANCED(5, 3, 451)                                                                  /* RFC 3463 */
ENHANCED(5, 4, 451, 501, 502, 503, 504, 550, 555)                                    /* RFC 3463 */
ENHANCED(5, 5, 0)                                                                    /* RFC 3463 */
ENHANCED(5, 6, 500)                                                                  /* RFC 4954 */
ENHANCED(6, 0, 0)                                                                    /* RFC 3463 */
ENHANCED(6, 1, 0)                                                                    /* RFC 3463 */
ENHANCED(6, 2, 0)                                                                    /* RFC 3463 */
ENHANCED(6, 3, 554)                                                                  /* RFC 3463 */
ENHANCED(6, 4, 250)                                                                  /* RFC 3463 */
ENHANCED(6, 5, 0)                                                                    /* RFC 3463 */
ENHANCED(6, 6, 554)                                                                  /* RFC 4468 */
ENHANCED(6, 7, 550, 553)                                                             /* RFC 6531 */
ENHANCED(6, 8, 252, 550, 553)                                                        /* RFC 6531 */
ENHANCED(6, 9, 550) /* RFC 6531; 6.10 is withdrawn */
ENHANCED(7, 0, 220, 235, 450, 454, 500, 501, 503, 504, 530, 535, 550) /* RFC 3463 */
ENHANCED(7, 1, 451, 454, 502, 503, 533, 550, 551)                     /* RFC 3463 */
ENHANCED(7, 2, 550)                                                   /* RFC 3463 */
ENHANCED(7, 3, 0)                                                     /* RFC 3463 */
ENHANCED(7, 4, 504)                                                   /* RFC 3463 */
ENHANCED(7, 5, 0)                                                     /* RFC 3463 */
ENHANCED(7, 6, 0)                                                     /* RFC 3463 */
ENHANCED(7, 7, 0)                                                     /* RFC 3463 */
ENHANCED(7, 8, 535, 554)                                              /* RFC 4954 */
ENHANCED(7, 9, 534)                                                   /* RFC 4954 */
ENHANCED(7, 10, 523)                                                  /* RFC 5248 */
ENHANCED(7, 11, 524, 538)                                             /* RFC 4954 */
ENHANCED(7, 12, 422, 432)                                             /* RFC 4954 */
ENHANCED(7, 13, 525)                                                  /* RFC 5248 */
ENHANCED(7, 14, 535, 554)                                             /* RFC 5248 */
ENHANCED(7, 15, 0)                                                    /* RFC 6710 */
ENHANCED(7, 16, 0)                                                    /* RFC 6710 */
ENHANCED(7, 17, 0)                                                    /* RFC 7293 */
ENHANCED(7, 18, 0)                                                    /* RFC 7293 */
ENHANCED(7, 19, 0)                                                    /* RFC 7293 */
ENHANCED(7, 20, 550)                                                  /* RFC 7372 */
ENHANCED(7, 21, 550)                                                  /* RFC 7372 */
ENHANCED(7, 22, 550)                                                  /* RFC 7372 */
ENHANCED(7, 23, 550)                                                  /* RFC 7372 */
ENHANCED(7, 24, 451, 550)                                             /* RFC 7372 */
ENHANCED(7, 25, 550)                                                  /* RFC 7372 */
ENHANCED(7, 26, 550)                                                  /* RFC 7372 */
ENHANCED(7, 27, 550)                                                  /* RFC 7505 */
ENHANCED(7, 28, 0)   /* draft-levine-mailbomb-header */
ENHANCED(7, 29, 550) /* RFC 8617 */
ENHANCED(7, 30, 550) /* RFC 8689 */

/* BESIDE(basic code, subject, detail): what smtpin says, and the registry does not have. */
/* RFC 5321 3.8 and 4.3.2: a server that shuts down says 421, to any command, and nothing else.
 * RFC 3463 3.4 has this case ("imminent shutdown, excessive load"). */
BESIDE(421, 3, 2)
/* RFC 5321 3.8: only with 421 may the connection end before QUIT. What is wrong is a limit that the
 * administrator has set, a policy (RFC 3463 3.8). */
BESIDE(421, 7, 0)
/* RFC 5321 4.5.3.1.10: too many recipients are 452. */
BESIDE(452, 5, 3)
/* RFC 3463 3.3: a full mailbox "should be used as a persistent transient failure"; of class 4 RFC
 * 5321 4.3.2 has only this for it. */
BESIDE(452, 2, 2)
/* RFC 6531 3.5: a header that a recipient's server can't take is 554. */
BESIDE(554, 6, 9)
/* The next server's connection has broken: 421 would end the client's, which is whole (RFC 5321
 * 3.8). */
BESIDE(451, 4, 2)
/* A policy server's REJECT: Postfix's protocol fixes this reply, and filters expect it. */
BESIDE(554, 7, 1)
