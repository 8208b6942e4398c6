"""The bank of `examples.bank` behind HTTP: FastAPI in front, an `AsyncAct` behind.

Run it with `python -m examples.fastapi_app`, then look at http://127.0.0.1:8000/docs. `app.py` has the routes,
`errors.py` says which error becomes which status, and `request.py` what a request says about who asks and what for.
"""
