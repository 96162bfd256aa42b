"""What an answer says of its own cost: tokens, speeds, why it ended. Pure and incremental.

    Meter         one per response: fed its bytes, keeps the few that matter, says its Usage at the end
      encoding    gzip, deflate, zstd, brotli -> plain bytes, bounded
      sse, bodies plain bytes -> the documents worth reading: events of a stream, or the body
      documents   JSON -> Document: the members that matter, all others skipped unread
      EXTRACTORS  Document -> Tally: one file for each dialect and back end
      plain       a usual answer that came whole -> its Usage at once, past the last two
    Usage         what the tally comes to

Which extractor applies is a matter of what a document holds, never of the path it came from: a back end may answer in any
dialect. Source of the rules: compatibility specification 6.3 and 6.4, and each dialect's public documentation.
"""
