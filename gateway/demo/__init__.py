"""`lookalike demo`: drawn pictures, a stand-in upstream that reads them, and the story they tell.

Nothing here takes part in serving; the stand-in says in every answer's model name that it is no model.
"""
