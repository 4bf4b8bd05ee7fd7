"""`harness new`: the first files of a plugin, which work as they are written.

`templates/` holds them as files with `$name` in them; `render` says which of them go where,
`write` puts them there and overwrites nothing.
"""
