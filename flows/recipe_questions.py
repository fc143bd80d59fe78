"""Whether the questions of a recipe can be put to its endpoint, said before anything starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flows.recipe import Recipe
from tasks.contract.errors import RecipeError


def check_questions(recipe: Recipe) -> None:
    """Refuse a question that the task's endpoint could not be asked.

    Raises:
        RecipeError: with the question, and what one consists of.
    """
    if not recipe.examples or not recipe.questions:
        return
    from model_code.served import form_of

    form = form_of(recipe.examples.task)
    pairs = recipe.examples.task == "classification" and "second" in recipe.examples.columns
    inputs = (*form.inputs, "second") if pairs else form.inputs
    fault_of = _fault_of_one_of if getattr(form, "writes", False) else _fault
    for number, question in enumerate(recipe.questions):
        if fault := fault_of(question, inputs, form.parameters) or _of_relations(recipe, question):
            raise RecipeError(f"questions[{number}]: {fault}")


def _fault(question: str | Mapping[str, str], inputs: Sequence[str], parameters: Sequence[str]) -> str:
    shape = f"{{{', '.join(f'{name}: …' for name in inputs)}}}"
    if isinstance(question, str):
        both = " and a ".join(inputs)
        return f"it is a text alone, and the endpoint asks for a {both}; write {shape}" if inputs[1:] else ""
    if missing := [name for name in inputs if name not in question]:
        return f"it has no {missing[0]}; write {shape}"
    if unknown := [name for name in question if name not in (*inputs, *parameters)]:
        return f"the endpoint knows no {unknown[0]}; write {shape}"
    return ""


def _fault_of_one_of(
    question: str | Mapping[str, str], inputs: Sequence[str], parameters: Sequence[str]
) -> str:
    """Of a question to be written to there is one of several strings; a text alone is the first."""
    if isinstance(question, str):
        return ""
    given = [name for name in question if name in inputs]
    if len(given) != 1:
        return f"it has {' and '.join(given) or 'none'} of {', '.join(inputs)}; give one of them"
    return _fault({given[0]: "", **question}, given, parameters)


def _of_relations(recipe: Recipe, question: str | Mapping[str, str]) -> str:
    from model_code.served.relations import located

    if recipe.examples is None or recipe.examples.task != "relations":
        return ""
    try:
        located({"text": question} if isinstance(question, str) else question)
    except ValueError as error:
        return str(error)
    return ""
