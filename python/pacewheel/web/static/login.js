// The page that was asked for is the one that follows: its address's part after # goes with the form.
document.forms[0].action += location.hash;
