"""`Act` and `AsyncAct`: the verbs put together. The only package that knows concrete stores."""
