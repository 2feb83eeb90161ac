-- Nothing of the schema: the function enqueue_tasks, made anew after the migrations, says `overtaken` too.
SELECT;
