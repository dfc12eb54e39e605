"""Makes a plan, only reading: first what no row needs (`precheck`, `linkage`), then step by step (`build`).

A step (`stepplan`) maps rows (`draft`), finds what they refer to (`links`, `kin`, `kinship`) and decides what
becomes of each (`collision`, `seen`); `notices` says what they share, `again` what came back as it was.
`rowcheck` and `doubtful` say what is wrong with rows without planning them: for `validate`, and beside a job
that is refused.
"""
